-- Same intent as postgres/0001_alerts.sql. Ids are the 16 bytes of a UUID, instants are microseconds since 1970 UTC,
-- lists and metadata are JSON text. The organization comes first in every key and index.

CREATE TABLE organizations (
    organization_id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL CONSTRAINT organizations_name_key UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    key_id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL
        CONSTRAINT api_keys_organization_fkey REFERENCES organizations (organization_id),
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    scopes TEXT NOT NULL,
    prefix TEXT NOT NULL,
    digest BLOB NOT NULL CONSTRAINT api_keys_digest_key UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at, key_id);

-- Class: 1 open, 2 in progress, 3 closed.
CREATE TABLE alert_statuses (
    organization_id BLOB NOT NULL
        CONSTRAINT alert_statuses_organization_fkey REFERENCES organizations (organization_id),
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    colour TEXT NOT NULL,
    class INTEGER NOT NULL CHECK (class BETWEEN 1 AND 3),
    builtin INTEGER NOT NULL CHECK (builtin IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, key),
    CONSTRAINT alert_statuses_class_key UNIQUE (organization_id, key, class)
) STRICT, WITHOUT ROWID;

-- Type: 1 balance, 2 transaction, 3 identity. Severity: 0 none, 1 low to 4 critical.
CREATE TABLE alerts (
    organization_id BLOB NOT NULL,
    anomaly_id BLOB NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    type INTEGER NOT NULL CHECK (type BETWEEN 1 AND 3),
    status TEXT NOT NULL,
    status_class INTEGER NOT NULL,
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 4),
    assigned_to TEXT NOT NULL,
    escalated_to TEXT NOT NULL,
    affected_balances TEXT NOT NULL,
    affected_transactions TEXT NOT NULL,
    affected_identities TEXT NOT NULL,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, anomaly_id),
    -- Also holds the class true to its status.
    CONSTRAINT alerts_status_fkey FOREIGN KEY (organization_id, status, status_class)
        REFERENCES alert_statuses (organization_id, key, class)
) STRICT;

-- One index for each way a list is driven (see src/store/listing.rs); all but the last end in the order of lists.
CREATE INDEX alerts_by_time ON alerts (organization_id, created_at, anomaly_id);
CREATE INDEX alerts_by_status ON alerts (organization_id, status, created_at, anomaly_id);
CREATE INDEX alerts_by_class ON alerts (organization_id, status_class, created_at, anomaly_id);
CREATE INDEX alerts_by_type ON alerts (organization_id, type, status_class, created_at, anomaly_id);
CREATE INDEX alerts_by_severity ON alerts (organization_id, severity, status_class, created_at, anomaly_id)
    WHERE severity <> 0;
CREATE INDEX alerts_by_assignee ON alerts (organization_id, assigned_to, status_class, created_at, anomaly_id);
CREATE INDEX alerts_by_update ON alerts (organization_id, updated_at, created_at, anomaly_id);

-- Finds alerts by entity. Derived: the lists of `alerts` are what counts, and are written in the same transaction.
CREATE TABLE alert_entities (
    organization_id BLOB NOT NULL,
    entity_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    anomaly_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, entity_id, created_at, anomaly_id)
) STRICT, WITHOUT ROWID;

-- Finds alerts by whom they are escalated to. Derived likewise.
CREATE TABLE alert_escalations (
    organization_id BLOB NOT NULL,
    escalated_to TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    anomaly_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, escalated_to, created_at, anomaly_id)
) STRICT, WITHOUT ROWID;
