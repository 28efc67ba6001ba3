//! The SQL of the PostgreSQL store.

use crate::store::{
    event_rows::event_columns, known::select_known, rows::alert_columns, statements::statements,
};

/// The beginning of a statement that saves a change: moves the head on, if it still is where the change was decided
/// from; writes the event, if there is one; remembers the answer, if it was asked to. All else hangs on `head`.
macro_rules! save_history {
    () => {
        "head AS (\
            UPDATE event_heads SET position = $2, hash = $3, revision = revision + 1 \
            WHERE organization_id = $1 AND revision = $4 AND hash = $5 RETURNING true\
        ), event AS (\
            INSERT INTO alert_events (organization_id, position, hash, previous_hash, event_id, anomaly_id, sequence, \
                type, key_id, key_name, on_behalf_of, changes, note, request_id, idempotency_key, created_at) \
            SELECT $1, $2, $3, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 \
            FROM head WHERE $18\
        ), memory AS (\
            INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
            SELECT $1, $19, $20, $21, $22 FROM head WHERE $23\
        )"
    };
}

statements! {
    SELECT_KNOWN = select_known!("h.revision");
    /// Writes an alert that is made, with its event, in one round trip. No row comes back where the head has another revision.
    SAVE_NEW = concat!("WITH ", save_history!(), ", alert AS (\
            INSERT INTO alerts (organization_id, anomaly_id, title, description, status, status_class, severity, \
                assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, metadata, \
                version, updated_at, disposition, disposition_reason, closed_at, closed_by, occurrence_count, \
                last_occurred_at, sequence, created_at, type, dedup_key, previous_anomaly_id) \
            SELECT $1, $7, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, \
                $42, $43, $44, $45, $46, $47 FROM head\
        ), entities AS (\
            INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
            SELECT $1, entity_id, $44, $7 FROM head, unnest($31::text[] || $32::text[] || $33::text[]) AS entity_id\
        ), escalations AS (\
            INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
            SELECT $1, person, $44, $7 FROM head, unnest($30::text[]) AS person\
        ) SELECT true FROM head");
    /// Writes an alert that has changed, with its event if it has one, in one round trip. No row comes back where the
    /// head has another revision.
    SAVE_CHANGED = concat!("WITH ", save_history!(), ", alert AS (\
            UPDATE alerts SET title = $24, description = $25, status = $26, status_class = $27, severity = $28, \
                assigned_to = $29, escalated_to = $30, affected_balances = $31, affected_transactions = $32, \
                affected_identities = $33, metadata = $34, version = $35, updated_at = $36, disposition = $37, \
                disposition_reason = $38, closed_at = $39, closed_by = $40, occurrence_count = $41, \
                last_occurred_at = $42, sequence = $43 \
            FROM head WHERE alerts.organization_id = $1 AND alerts.anomaly_id = $7\
        ), old_entities AS (\
            DELETE FROM alert_entities USING head WHERE alert_entities.organization_id = $1 AND created_at = $44 \
                AND anomaly_id = $7 AND entity_id = ANY($45)\
        ), new_entities AS (\
            INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
            SELECT $1, entity_id, $44, $7 FROM head, unnest($46::text[]) AS entity_id\
        ), old_escalations AS (\
            DELETE FROM alert_escalations USING head WHERE alert_escalations.organization_id = $1 \
                AND created_at = $44 AND anomaly_id = $7 AND escalated_to = ANY($47)\
        ), new_escalations AS (\
            INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
            SELECT $1, person, $44, $7 FROM head, unnest($48::text[]) AS person\
        ) SELECT true FROM head");
    /// Remembers a change that changed nothing.
    REMEMBER = "INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
        VALUES ($1, $2, $3, $4, $5)";
    SELECT_MEMORY = "SELECT fingerprint, answer FROM idempotency_keys \
        WHERE organization_id = $1 AND key = $2 AND created_at > $3";
    DELETE_OLD_MEMORY = "DELETE FROM idempotency_keys WHERE organization_id = $1 AND key = $2 AND created_at <= $3";
    /// Skips what another instance is deleting.
    DELETE_OLD_MEMORIES = "DELETE FROM idempotency_keys WHERE (organization_id, key) IN (\
        SELECT organization_id, key FROM idempotency_keys WHERE created_at <= $1 ORDER BY created_at LIMIT 500 \
        FOR UPDATE SKIP LOCKED)";
    LOCK_HEAD = "SELECT position FROM event_heads WHERE organization_id = $1 FOR NO KEY UPDATE";
    SELECT_HEAD = "SELECT position, hash FROM event_heads WHERE organization_id = $1";
    INSERT_HEAD = "INSERT INTO event_heads (organization_id, position, hash) VALUES ($1, $2, $3)";
    SELECT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND position > $2 ORDER BY position LIMIT $3");
    SELECT_ALERT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND anomaly_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4");
    SELECT_TO_ADOPT = "SELECT organization_id, anomaly_id FROM alerts_to_adopt \
        WHERE (organization_id, anomaly_id) > ($1, $2) ORDER BY organization_id, anomaly_id LIMIT 500";
    DELETE_TO_ADOPT = "DELETE FROM alerts_to_adopt WHERE organization_id = $1 AND anomaly_id = $2";
    SELECT_FOLLOWING = "SELECT position FROM alert_events WHERE organization_id = $1 AND previous_hash = $2 \
        ORDER BY position";
    SELECT_ALERTS_AFTER = concat!("SELECT ", alert_columns!(), " FROM alerts a \
        WHERE a.organization_id = $1 AND a.anomaly_id > $2 ORDER BY a.anomaly_id LIMIT $3");
    SELECT_ALERT = concat!("SELECT ", alert_columns!(), " FROM alerts a WHERE a.organization_id = $1 AND a.anomaly_id = $2");
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
    INSERT_ORGANIZATION = "INSERT INTO organizations (organization_id, name, require_disposition, created_at) \
        VALUES ($1, $2, $3, $4)";
    /// Waits for whoever is making an organization of that name.
    INSERT_ORGANIZATION_IF_NEW = "INSERT INTO organizations (organization_id, name, require_disposition, created_at) \
        VALUES ($1, $2, $3, $4) \
        ON CONFLICT (name) DO NOTHING";
    REQUIRE_DISPOSITION = "UPDATE organizations SET require_disposition = $2 WHERE organization_id = $1 \
        RETURNING organization_id, name, require_disposition, created_at";
    SELECT_ORGANIZATIONS = "SELECT organization_id, name, require_disposition, created_at FROM organizations \
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
