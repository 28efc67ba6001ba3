-- Same intent as postgres/0002_history.sql: the history of alerts, decisions, repeats that fold, and retries that are safe.

ALTER TABLE organizations ADD COLUMN require_disposition INTEGER NOT NULL DEFAULT 0 CHECK (require_disposition IN (0, 1));

-- Disposition: 0 none, 1 true positive, 2 false positive, 3 benign, 4 duplicate, 5 inconclusive. Sequence: how many events
-- the alert's history has.
ALTER TABLE alerts ADD COLUMN disposition INTEGER NOT NULL DEFAULT 0 CHECK (disposition BETWEEN 0 AND 5);
ALTER TABLE alerts ADD COLUMN disposition_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN closed_at INTEGER;
ALTER TABLE alerts ADD COLUMN closed_by TEXT;
ALTER TABLE alerts ADD COLUMN dedup_key TEXT;
ALTER TABLE alerts ADD COLUMN occurrence_count INTEGER NOT NULL DEFAULT 1 CHECK (occurrence_count > 0);
ALTER TABLE alerts ADD COLUMN last_occurred_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN previous_anomaly_id BLOB;
ALTER TABLE alerts ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET last_occurred_at = created_at;
-- Nobody noted who closed it and when; it has not changed since it last did.
UPDATE alerts SET closed_at = updated_at, closed_by =
    '{"key_id": "key_00000000-0000-0000-0000-000000000000", "key_name": "migration", "on_behalf_of": null}'
    WHERE status_class = 3;

CREATE INDEX alerts_by_disposition ON alerts (organization_id, disposition, status_class, created_at, anomaly_id)
    WHERE disposition <> 0;
CREATE INDEX alerts_by_dedup_key ON alerts (organization_id, dedup_key, created_at, anomaly_id)
    WHERE dedup_key IS NOT NULL;
-- Decides which of two flags at the same moment makes the alert.
CREATE UNIQUE INDEX alerts_open_dedup_key ON alerts (organization_id, dedup_key)
    WHERE dedup_key IS NOT NULL AND status_class <> 3;

-- Alerts that are older than histories are, until each has its first event.
CREATE TABLE alerts_to_adopt (
    organization_id BLOB NOT NULL,
    anomaly_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, anomaly_id)
) STRICT, WITHOUT ROWID;

INSERT INTO alerts_to_adopt (organization_id, anomaly_id) SELECT organization_id, anomaly_id FROM alerts;

-- Where each organization's feed ends.
CREATE TABLE event_heads (
    organization_id BLOB NOT NULL PRIMARY KEY
        CONSTRAINT event_heads_organization_fkey REFERENCES organizations (organization_id),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO event_heads (organization_id, position, hash) SELECT organization_id, 0, zeroblob(32) FROM organizations;

-- Type: 1 flagged, 2 updated, 3 status changed, 4 assigned, 5 escalated, 6 noted, 7 recurred, 8 closed, 9 reopened.
-- Changes are canonical JSON (RFC 8785), kept to the letter.
CREATE TABLE alert_events (
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
    PRIMARY KEY (organization_id, position),
    CONSTRAINT alert_events_sequence_key UNIQUE (organization_id, anomaly_id, sequence)
-- Without a row id, by which REPLACE could delete an event that the trigger below does not see.
) STRICT, WITHOUT ROWID;

CREATE TRIGGER alert_events_not_updated BEFORE UPDATE ON alert_events BEGIN
    SELECT RAISE(ABORT, 'alert_events: events are never changed or deleted');
END;
CREATE TRIGGER alert_events_not_deleted BEFORE DELETE ON alert_events BEGIN
    SELECT RAISE(ABORT, 'alert_events: events are never changed or deleted');
END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER alert_events_not_replaced BEFORE INSERT ON alert_events
WHEN EXISTS (SELECT 1 FROM alert_events e WHERE e.organization_id = NEW.organization_id
    AND (e.position = NEW.position OR (e.anomaly_id = NEW.anomaly_id AND e.sequence = NEW.sequence)))
BEGIN
    SELECT RAISE(ABORT, 'alert_events: events are never changed or deleted');
END;

-- What was answered to changes that callers may repeat; kept for 24 hours.
CREATE TABLE idempotency_keys (
    organization_id BLOB NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
