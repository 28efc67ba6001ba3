-- Same intent as sqlite/0001_alerts.sql. The organization comes first in every key and index: it is also the
-- distribution key where the database is a distributed one. Text that is looked up or ordered by compares by bytes.

CREATE TABLE organizations (
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (organization_id),
    CONSTRAINT organizations_name_key UNIQUE (name)
);

CREATE TABLE api_keys (
    key_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    owner text NOT NULL,
    scopes text[] NOT NULL,
    prefix text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (key_id),
    CONSTRAINT api_keys_digest_key UNIQUE (digest),
    CONSTRAINT api_keys_organization_fkey FOREIGN KEY (organization_id) REFERENCES organizations (organization_id)
);

CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at, key_id);

-- Class: 1 open, 2 in progress, 3 closed.
CREATE TABLE alert_statuses (
    organization_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    colour text NOT NULL,
    class smallint NOT NULL CHECK (class BETWEEN 1 AND 3),
    builtin boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT alert_statuses_pkey PRIMARY KEY (organization_id, key),
    CONSTRAINT alert_statuses_class_key UNIQUE (organization_id, key, class),
    CONSTRAINT alert_statuses_organization_fkey FOREIGN KEY (organization_id) REFERENCES organizations (organization_id)
);

-- Type: 1 balance, 2 transaction, 3 identity. Severity: 0 none, 1 low to 4 critical.
CREATE TABLE alerts (
    organization_id uuid NOT NULL,
    anomaly_id uuid NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    type smallint NOT NULL CHECK (type BETWEEN 1 AND 3),
    status text COLLATE "C" NOT NULL,
    status_class smallint NOT NULL,
    severity smallint NOT NULL CHECK (severity BETWEEN 0 AND 4),
    assigned_to text COLLATE "C" NOT NULL,
    escalated_to text[] NOT NULL,
    affected_balances text[] NOT NULL,
    affected_transactions text[] NOT NULL,
    affected_identities text[] NOT NULL,
    metadata jsonb NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT alerts_pkey PRIMARY KEY (organization_id, anomaly_id),
    -- Also holds the class true to its status.
    CONSTRAINT alerts_status_fkey FOREIGN KEY (organization_id, status, status_class)
        REFERENCES alert_statuses (organization_id, key, class)
);

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
    organization_id uuid NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    anomaly_id uuid NOT NULL,
    CONSTRAINT alert_entities_pkey PRIMARY KEY (organization_id, entity_id, created_at, anomaly_id)
);

-- Finds alerts by whom they are escalated to. Derived likewise.
CREATE TABLE alert_escalations (
    organization_id uuid NOT NULL,
    escalated_to text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    anomaly_id uuid NOT NULL,
    CONSTRAINT alert_escalations_pkey PRIMARY KEY (organization_id, escalated_to, created_at, anomaly_id)
);
