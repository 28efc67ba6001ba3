-- Same intent as postgres/0004_events.sql: what a change costs must not grow with the history.

-- Events have a row id again. Without one, every level of the tree holds whole events, four to a page, and those of over
-- 1,000 bytes take a page of their own. The row id has a name, so that the trigger below sees it.
CREATE TABLE events_with_row_id (
    entry INTEGER PRIMARY KEY CHECK (entry > 0),
    organization_id BLOB NOT NULL,
    position INTEGER NOT NULL CHECK (position > 0),
    anomaly_id BLOB NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    event_id BLOB NOT NULL,
    type INTEGER NOT NULL CHECK (type BETWEEN 1 AND 9),
    key_id BLOB NOT NULL,
    key_name TEXT NOT NULL,
    on_behalf_of TEXT,
    changes TEXT NOT NULL,
    note TEXT NOT NULL,
    request_id TEXT NOT NULL,
    idempotency_key TEXT,
    created_at INTEGER NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT alert_events_position_key UNIQUE (organization_id, position),
    CONSTRAINT alert_events_sequence_key UNIQUE (organization_id, anomaly_id, sequence)
) STRICT;

INSERT INTO events_with_row_id (organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name,
    on_behalf_of, changes, note, request_id, idempotency_key, created_at, previous_hash, hash)
SELECT organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, on_behalf_of, changes, note,
    request_id, idempotency_key, created_at, previous_hash, hash
FROM alert_events ORDER BY organization_id, position;

DROP TABLE alert_events;
ALTER TABLE events_with_row_id RENAME TO alert_events;

CREATE TRIGGER alert_events_not_updated BEFORE UPDATE ON alert_events BEGIN
    SELECT RAISE(ABORT, 'alert_events: events are never changed or deleted');
END;
CREATE TRIGGER alert_events_not_deleted BEFORE DELETE ON alert_events BEGIN
    SELECT RAISE(ABORT, 'alert_events: events are never changed or deleted');
END;
-- INSERT OR REPLACE deletes without asking the trigger above. A statement with a trigger that may ABORT keeps a copy of each
-- page that it changes, in a file once they are many; one that may FAIL needs none, and here nothing is written yet.
CREATE TRIGGER alert_events_not_replaced BEFORE INSERT ON alert_events
WHEN EXISTS (SELECT 1 FROM alert_events e WHERE e.entry = NEW.entry)
    OR EXISTS (SELECT 1 FROM alert_events e WHERE e.organization_id = NEW.organization_id AND e.position = NEW.position)
    OR EXISTS (SELECT 1 FROM alert_events e WHERE e.organization_id = NEW.organization_id
        AND e.anomaly_id = NEW.anomaly_id AND e.sequence = NEW.sequence)
BEGIN
    SELECT RAISE(FAIL, 'alert_events: events are never changed or deleted');
END;
