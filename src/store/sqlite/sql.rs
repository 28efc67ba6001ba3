//! The SQL of the SQLite store.

use crate::store::{
    decision_input::select_decision_input, event_rows::event_columns, rows::alert_columns,
    signature_rows::signature_columns, statements::statements,
};

statements! {
    SELECT_DECISION_INPUT = select_decision_input!("WITH questions(organization_id, anomaly_id, dedup_key, status, idempotency_key, since) \
        AS (VALUES (?1, ?2, ?3, ?4, ?5, ?6)) ", "0", "0", "NULL", "q.since");
    HAS_MIGRATIONS = "SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    SELECT_FIRST_MIGRATION = "SELECT checksum FROM _sqlx_migrations ORDER BY version LIMIT 1";
    SELECT_VERSION = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    /// The fields that can change come first, as in `UPDATE_ALERT`.
    INSERT_ALERT = "INSERT INTO alerts (title, description, status, status_class, severity, assigned_to, escalated_to, \
        affected_balances, affected_transactions, affected_identities, metadata, version, updated_at, disposition, \
        disposition_reason, closed_at, closed_by, occurrence_count, last_occurred_at, sequence, organization_id, \
        anomaly_id, created_at, type, dedup_key, previous_anomaly_id) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    UPDATE_ALERT = "UPDATE alerts SET title = ?, description = ?, status = ?, status_class = ?, severity = ?, \
        assigned_to = ?, escalated_to = ?, affected_balances = ?, affected_transactions = ?, affected_identities = ?, \
        metadata = ?, version = ?, updated_at = ?, disposition = ?, disposition_reason = ?, closed_at = ?, \
        closed_by = ?, occurrence_count = ?, last_occurred_at = ?, sequence = ? \
        WHERE organization_id = ? AND anomaly_id = ?";
    /// OR FAIL, so that SQLite keeps no copies of the pages it changes (migration 4); where it fails, the transaction is undone.
    INSERT_EVENT = concat!("INSERT OR FAIL INTO alert_events (", event_columns!(), ") \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    UPDATE_HEAD = "UPDATE event_heads SET position = ?, hash = ? WHERE organization_id = ?";
    /// OR FAIL, as for events.
    INSERT_HEAD_SIGNATURE = concat!("INSERT OR FAIL INTO head_signatures (", signature_columns!(), ") VALUES (?, ?, ?, ?, ?)");
    SELECT_HEAD_SIGNATURES = concat!("SELECT ", signature_columns!(), " FROM head_signatures \
        WHERE organization_id = ? AND position > ? ORDER BY position LIMIT ?");
    INSERT_IDEMPOTENCY_KEY = "INSERT OR REPLACE INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
        VALUES (?, ?, ?, ?, ?)";
    SELECT_IDEMPOTENCY_KEY = "SELECT fingerprint, answer FROM idempotency_keys \
        WHERE organization_id = ? AND key = ? AND created_at > ?";
    DELETE_OLD_IDEMPOTENCY_KEYS = "DELETE FROM idempotency_keys WHERE (organization_id, key) IN (\
        SELECT organization_id, key FROM idempotency_keys WHERE created_at <= ? ORDER BY created_at LIMIT 500)";
    SELECT_HEAD = "SELECT position, hash FROM event_heads WHERE organization_id = ?";
    INSERT_HEAD = "INSERT INTO event_heads (organization_id, position, hash) VALUES (?, ?, ?)";
    SELECT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = ? AND position > ? ORDER BY position LIMIT ?");
    SELECT_ALERT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = ? AND anomaly_id = ? AND sequence > ? ORDER BY sequence LIMIT ?");
    SELECT_TO_ADOPT = "SELECT organization_id, anomaly_id FROM alerts_to_adopt \
        WHERE (organization_id, anomaly_id) > (?, ?) ORDER BY organization_id, anomaly_id LIMIT 500";
    IS_TO_ADOPT = "SELECT EXISTS (SELECT 1 FROM alerts_to_adopt WHERE organization_id = ? AND anomaly_id = ?)";
    DELETE_TO_ADOPT = "DELETE FROM alerts_to_adopt WHERE organization_id = ? AND anomaly_id = ?";
    SELECT_FOLLOWING = "SELECT position FROM alert_events WHERE organization_id = ? AND previous_hash = ? \
        ORDER BY position";
    SELECT_ALERTS_AFTER = concat!("SELECT ", alert_columns!(), " FROM alerts a \
        WHERE a.organization_id = ? AND a.anomaly_id > ? ORDER BY a.anomaly_id LIMIT ?");
    SELECT_ALERT = concat!("SELECT ", alert_columns!(), " FROM alerts a WHERE a.organization_id = ? AND a.anomaly_id = ?");
    INSERT_ENTITY = "INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) VALUES (?, ?, ?, ?)";
    DELETE_ENTITY = "DELETE FROM alert_entities \
        WHERE organization_id = ? AND entity_id = ? AND created_at = ? AND anomaly_id = ?";
    INSERT_ESCALATION = "INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
        VALUES (?, ?, ?, ?)";
    DELETE_ESCALATION = "DELETE FROM alert_escalations \
        WHERE organization_id = ? AND escalated_to = ? AND created_at = ? AND anomaly_id = ?";
    INSERT_STATUS = "INSERT INTO alert_statuses (organization_id, key, name, colour, class, builtin, created_at, \
        updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    SELECT_STATUS = "SELECT organization_id, key, name, colour, class, created_at, updated_at FROM alert_statuses \
        WHERE organization_id = ? AND key = ?";
    SELECT_STATUSES = "SELECT organization_id, key, name, colour, class, created_at, updated_at FROM alert_statuses \
        WHERE organization_id = ? AND key > ? AND builtin = ? ORDER BY key LIMIT ?";
    IS_STATUS_MISSING = "SELECT NOT EXISTS (SELECT 1 FROM alert_statuses WHERE organization_id = ? AND key = ?)";
    UPDATE_STATUS = "UPDATE alert_statuses SET name = ?, colour = ?, updated_at = ? \
        WHERE organization_id = ? AND key = ?";
    DELETE_STATUS = "DELETE FROM alert_statuses WHERE organization_id = ? AND key = ?";
    IS_STATUS_USED = "SELECT EXISTS (SELECT 1 FROM alerts WHERE organization_id = ? AND status = ?)";
    COUNT_STATUS_USES = "SELECT count(*) FROM alerts WHERE organization_id = ? AND status = ?";
    INSERT_ORGANIZATION = "INSERT INTO organizations (organization_id, name, require_disposition, created_at) \
        VALUES (?, ?, ?, ?)";
    REQUIRE_DISPOSITION = "UPDATE organizations SET require_disposition = ? WHERE organization_id = ? \
        RETURNING organization_id, name, require_disposition, created_at";
    SELECT_ORGANIZATIONS = "SELECT organization_id, name, require_disposition, created_at FROM organizations \
        ORDER BY created_at, organization_id";
    SELECT_ORGANIZATION_BY_NAME = "SELECT organization_id FROM organizations WHERE name = ?";
    INSERT_KEY = "INSERT INTO api_keys (key_id, organization_id, name, owner, scopes, prefix, digest, created_at, \
        expires_at, revoked_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    SELECT_KEYS = "SELECT key_id, organization_id, name, owner, scopes, prefix, digest, created_at, expires_at, \
        revoked_at, last_used_at FROM api_keys WHERE organization_id = coalesce(?, organization_id) \
        ORDER BY created_at, key_id";
    SELECT_KEY_BY_DIGEST = "SELECT key_id, organization_id, name, owner, scopes, prefix, digest, created_at, \
        expires_at, revoked_at, last_used_at FROM api_keys WHERE digest = ?";
    REVOKE_KEY = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE key_id = ? \
        RETURNING key_id, organization_id, name, owner, scopes, prefix, digest, created_at, expires_at, revoked_at, \
        last_used_at";
    TOUCH_KEY = "UPDATE api_keys SET last_used_at = ?1 WHERE key_id = ?2 \
        AND (last_used_at IS NULL OR last_used_at <= ?1 - 60000000)";
    ANY_KEY = "SELECT EXISTS (SELECT 1 FROM api_keys)";
}
