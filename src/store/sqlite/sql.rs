//! The SQL of the SQLite store.

use crate::store::{rows::alert_columns, statements::statements};

statements! {
    INSERT_ALERT = "INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, status_class, \
        severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, metadata, \
        version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    UPDATE_ALERT = "UPDATE alerts SET title = ?, description = ?, status = ?, status_class = ?, severity = ?, \
        assigned_to = ?, escalated_to = ?, affected_balances = ?, affected_transactions = ?, affected_identities = ?, \
        metadata = ?, version = ?, updated_at = ? WHERE organization_id = ? AND anomaly_id = ?";
    SELECT_ALERT = concat!("SELECT ", alert_columns!(), " FROM alerts a WHERE a.organization_id = ? AND a.anomaly_id = ?");
    INSERT_ENTITIES = "INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
        SELECT ?, value, ?, ? FROM json_each(?)";
    DELETE_ENTITIES = "DELETE FROM alert_entities WHERE organization_id = ? AND created_at = ? AND anomaly_id = ? \
        AND entity_id IN (SELECT value FROM json_each(?))";
    INSERT_ESCALATIONS = "INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
        SELECT ?, value, ?, ? FROM json_each(?)";
    DELETE_ESCALATIONS = "DELETE FROM alert_escalations WHERE organization_id = ? AND created_at = ? \
        AND anomaly_id = ? AND escalated_to IN (SELECT value FROM json_each(?))";
    SELECT_CLASS = "SELECT class FROM alert_statuses WHERE organization_id = ? AND key = ?";
    INSERT_STATUS = "INSERT INTO alert_statuses (organization_id, key, name, colour, class, builtin, created_at, \
        updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    SELECT_STATUS = "SELECT organization_id, key, name, colour, class, created_at, updated_at FROM alert_statuses \
        WHERE organization_id = ? AND key = ?";
    SELECT_STATUSES = "SELECT organization_id, key, name, colour, class, created_at, updated_at FROM alert_statuses \
        WHERE organization_id = ? AND key > ? AND builtin = ? ORDER BY key LIMIT ?";
    SELECT_MISSING_STATUSES = "SELECT value FROM json_each(?) WHERE NOT EXISTS \
        (SELECT 1 FROM alert_statuses WHERE organization_id = ? AND key = value)";
    UPDATE_STATUS = "UPDATE alert_statuses SET name = ?, colour = ?, updated_at = ? \
        WHERE organization_id = ? AND key = ?";
    DELETE_STATUS = "DELETE FROM alert_statuses WHERE organization_id = ? AND key = ?";
    IS_STATUS_USED = "SELECT EXISTS (SELECT 1 FROM alerts WHERE organization_id = ? AND status = ?)";
    COUNT_STATUS_USES = "SELECT count(*) FROM alerts WHERE organization_id = ? AND status = ?";
    INSERT_ORGANIZATION = "INSERT INTO organizations (organization_id, name, created_at) VALUES (?, ?, ?)";
    SELECT_ORGANIZATIONS = "SELECT organization_id, name, created_at FROM organizations \
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
