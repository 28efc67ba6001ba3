-- Same intent as sqlite/0002_history.sql: the history of alerts, decisions, repeats that fold, and retries that are safe.

ALTER TABLE organizations ADD COLUMN require_disposition boolean NOT NULL DEFAULT false;

-- Disposition: 0 none, 1 true positive, 2 false positive, 3 benign, 4 duplicate, 5 inconclusive. Sequence: how many events
-- the alert's history has.
ALTER TABLE alerts
    ADD COLUMN disposition smallint NOT NULL DEFAULT 0 CHECK (disposition BETWEEN 0 AND 5),
    ADD COLUMN disposition_reason text NOT NULL DEFAULT '',
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN closed_by jsonb,
    ADD COLUMN dedup_key text COLLATE "C",
    ADD COLUMN occurrence_count bigint NOT NULL DEFAULT 1 CHECK (occurrence_count > 0),
    ADD COLUMN last_occurred_at timestamptz,
    ADD COLUMN previous_anomaly_id uuid,
    ADD COLUMN sequence bigint NOT NULL DEFAULT 0;
UPDATE alerts SET last_occurred_at = created_at;
-- Nobody noted who closed it and when; it has not changed since it last did.
UPDATE alerts SET closed_at = updated_at, closed_by =
    '{"key_id": "key_00000000-0000-0000-0000-000000000000", "key_name": "migration", "on_behalf_of": null}'
    WHERE status_class = 3;
ALTER TABLE alerts ALTER COLUMN last_occurred_at SET NOT NULL;

CREATE INDEX alerts_by_disposition ON alerts (organization_id, disposition, status_class, created_at, anomaly_id)
    WHERE disposition <> 0;
CREATE INDEX alerts_by_dedup_key ON alerts (organization_id, dedup_key, created_at, anomaly_id)
    WHERE dedup_key IS NOT NULL;
-- Decides which of two flags at the same moment makes the alert.
CREATE UNIQUE INDEX alerts_open_dedup_key ON alerts (organization_id, dedup_key)
    WHERE dedup_key IS NOT NULL AND status_class <> 3;

-- Alerts that are older than histories are, until each has its first event.
CREATE TABLE alerts_to_adopt (
    organization_id uuid NOT NULL,
    anomaly_id uuid NOT NULL,
    CONSTRAINT alerts_to_adopt_pkey PRIMARY KEY (organization_id, anomaly_id)
);

INSERT INTO alerts_to_adopt (organization_id, anomaly_id) SELECT organization_id, anomaly_id FROM alerts;

-- Where each organization's feed ends; the row is the lock that gives out positions. The revision moves with every change,
-- also with repeats of which history is silent: while it stands, nothing of the organization's alerts has changed.
CREATE TABLE event_heads (
    organization_id uuid NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    CONSTRAINT event_heads_pkey PRIMARY KEY (organization_id),
    CONSTRAINT event_heads_organization_fkey FOREIGN KEY (organization_id) REFERENCES organizations (organization_id)
);

INSERT INTO event_heads (organization_id, position, hash)
    SELECT organization_id, 0, decode(repeat('00', 32), 'hex') FROM organizations;

-- Type: 1 flagged, 2 updated, 3 status changed, 4 assigned, 5 escalated, 6 noted, 7 recurred, 8 closed, 9 reopened.
-- Changes are canonical JSON (RFC 8785), kept to the letter.
CREATE TABLE alert_events (
    organization_id uuid NOT NULL,
    position bigint NOT NULL CHECK (position > 0),
    anomaly_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_id uuid NOT NULL,
    type smallint NOT NULL CHECK (type BETWEEN 1 AND 9),
    key_id uuid NOT NULL,
    key_name text NOT NULL,
    on_behalf_of text,
    changes text NOT NULL,
    note text NOT NULL,
    request_id text NOT NULL,
    idempotency_key text,
    created_at timestamptz NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT alert_events_pkey PRIMARY KEY (organization_id, position),
    CONSTRAINT alert_events_sequence_key UNIQUE (organization_id, anomaly_id, sequence)
);

CREATE FUNCTION alert_events_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'alert_events: events are never changed or deleted' USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER alert_events_immutable BEFORE UPDATE OR DELETE ON alert_events
    FOR EACH ROW EXECUTE FUNCTION alert_events_are_immutable();
CREATE TRIGGER alert_events_not_truncated BEFORE TRUNCATE ON alert_events
    FOR EACH STATEMENT EXECUTE FUNCTION alert_events_are_immutable();

-- What was answered to changes that callers may repeat; kept for 24 hours.
CREATE TABLE idempotency_keys (
    organization_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    answer text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (organization_id, key)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
