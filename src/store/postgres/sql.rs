//! The SQL of the PostgreSQL store.

use crate::store::{rows::alert_columns, statements::statements};

statements! {
    /// Makes an alert and what finds it, in one round trip. No row comes back when there is no such status; locking the
    /// status waits for whoever is deleting it.
    INSERT_ALERT = "WITH status AS (\
            SELECT class FROM alert_statuses WHERE organization_id = $1 AND key = $6 FOR KEY SHARE\
        ), alert AS (\
            INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, status_class, \
                severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, \
                metadata, version, created_at, updated_at) \
            SELECT $1, $2, $3, $4, $5, $6, class, $7, $8, $9, $10, $11, $12, $13, 1, $14, $14 FROM status \
            RETURNING status_class\
        ), entities AS (\
            INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
            SELECT $1, entity_id, $14, $2 FROM alert, unnest($10::text[] || $11::text[] || $12::text[]) AS entity_id\
        ), escalations AS (\
            INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
            SELECT $1, person, $14, $2 FROM alert, unnest($9::text[]) AS person\
        ) SELECT status_class FROM alert";
    UPDATE_ALERT = "UPDATE alerts SET title = $3, description = $4, status = $5, status_class = $6, severity = $7, \
        assigned_to = $8, escalated_to = $9, affected_balances = $10, affected_transactions = $11, \
        affected_identities = $12, metadata = $13, version = $14, updated_at = $15 \
        WHERE organization_id = $1 AND anomaly_id = $2";
    SELECT_ALERT = concat!("SELECT ", alert_columns!(), " FROM alerts a WHERE a.organization_id = $1 AND a.anomaly_id = $2");
    /// Locks the alert, no stronger than its update will: whoever deletes a status may still look at the alerts in it,
    /// and does not wait for one that waits for the status.
    SELECT_ALERT_FOR_UPDATE = concat!("SELECT ", alert_columns!(), " FROM alerts a WHERE a.organization_id = $1 AND a.anomaly_id = $2 FOR NO KEY UPDATE");
    INSERT_ENTITIES = "INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
        SELECT $1, entity_id, $2, $3 FROM unnest($4::text[]) AS entity_id";
    DELETE_ENTITIES = "DELETE FROM alert_entities WHERE organization_id = $1 AND created_at = $2 AND anomaly_id = $3 \
        AND entity_id = ANY($4)";
    INSERT_ESCALATIONS = "INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
        SELECT $1, person, $2, $3 FROM unnest($4::text[]) AS person";
    DELETE_ESCALATIONS = "DELETE FROM alert_escalations WHERE organization_id = $1 AND created_at = $2 \
        AND anomaly_id = $3 AND escalated_to = ANY($4)";
    /// Locks the status, so that it can't be deleted before the alert that moves to it is written.
    SELECT_CLASS = "SELECT class FROM alert_statuses WHERE organization_id = $1 AND key = $2 FOR KEY SHARE";
    INSERT_STATUS = "INSERT INTO alert_statuses (organization_id, key, name, colour, class, builtin, created_at, \
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    SELECT_STATUS_FOR_UPDATE = "SELECT organization_id, key, name, colour, class, created_at, updated_at \
        FROM alert_statuses WHERE organization_id = $1 AND key = $2 FOR NO KEY UPDATE";
    SELECT_STATUSES = "SELECT organization_id, key, name, colour, class, created_at, updated_at FROM alert_statuses \
        WHERE organization_id = $1 AND key > $2 AND builtin = $3 ORDER BY key LIMIT $4";
    SELECT_MISSING_STATUSES = "SELECT wanted FROM unnest($2::text[]) AS wanted WHERE NOT EXISTS \
        (SELECT 1 FROM alert_statuses WHERE organization_id = $1 AND key = wanted)";
    UPDATE_STATUS = "UPDATE alert_statuses SET name = $3, colour = $4, updated_at = $5 \
        WHERE organization_id = $1 AND key = $2";
    DELETE_STATUS = "DELETE FROM alert_statuses WHERE organization_id = $1 AND key = $2";
    COUNT_STATUS_USES = "SELECT count(*) FROM alerts WHERE organization_id = $1 AND status = $2";
    INSERT_ORGANIZATION = "INSERT INTO organizations (organization_id, name, created_at) VALUES ($1, $2, $3)";
    /// Waits for whoever is making an organization of that name.
    INSERT_ORGANIZATION_IF_NEW = "INSERT INTO organizations (organization_id, name, created_at) VALUES ($1, $2, $3) \
        ON CONFLICT (name) DO NOTHING";
    SELECT_ORGANIZATIONS = "SELECT organization_id, name, created_at FROM organizations \
        ORDER BY created_at, organization_id";
    LOCK_ORGANIZATION_BY_NAME = "SELECT organization_id FROM organizations WHERE name = $1 FOR UPDATE";
    INSERT_KEY = "INSERT INTO api_keys (key_id, organization_id, name, owner, scopes, prefix, digest, created_at, \
        expires_at, revoked_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    SELECT_KEYS = "SELECT key_id, organization_id, name, owner, scopes, prefix, digest, created_at, expires_at, \
        revoked_at, last_used_at FROM api_keys WHERE organization_id = coalesce($1, organization_id) \
        ORDER BY created_at, key_id";
    SELECT_KEY_BY_DIGEST = "SELECT key_id, organization_id, name, owner, scopes, prefix, digest, created_at, \
        expires_at, revoked_at, last_used_at FROM api_keys WHERE digest = $1";
    REVOKE_KEY = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $1) WHERE key_id = $2 \
        RETURNING key_id, organization_id, name, owner, scopes, prefix, digest, created_at, expires_at, revoked_at, \
        last_used_at";
    TOUCH_KEY = "UPDATE api_keys SET last_used_at = $1 WHERE key_id = $2 \
        AND (last_used_at IS NULL OR last_used_at <= $1::timestamptz - interval '60 seconds')";
    SHOW_ENCODING = "SHOW server_encoding";
    IS_READ_ONLY = "SELECT current_setting('transaction_read_only')::bool";
    ANY_KEY = "SELECT EXISTS (SELECT 1 FROM api_keys)";
}
