-- Same intent as postgres/0003_speed.sql: what a change costs must not grow with the history.

-- Each of the two keys is looked up by itself: joined by OR, without row ids, SQLite looks through all events of the
-- organization.
DROP TRIGGER alert_events_not_replaced;
CREATE TRIGGER alert_events_not_replaced BEFORE INSERT ON alert_events
WHEN EXISTS (SELECT 1 FROM alert_events e WHERE e.organization_id = NEW.organization_id AND e.position = NEW.position)
    OR EXISTS (SELECT 1 FROM alert_events e WHERE e.organization_id = NEW.organization_id
        AND e.anomaly_id = NEW.anomaly_id AND e.sequence = NEW.sequence)
BEGIN
    SELECT RAISE(ABORT, 'alert_events: events are never changed or deleted');
END;
