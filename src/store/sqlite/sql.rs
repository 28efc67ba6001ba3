//! The SQL of the SQLite store.

use crate::store::shared::{
    self,
    decision_input::select_decision_input,
    index::{EntityRow, EscalationRow},
    row::{Column, Table},
    rows::{
        alert::{AlertRow, alert_columns},
        event::{EventRow, FeedHeadRow},
        key::{KeyRow, key_columns},
        organization::OrganizationRow,
        signature::SignatureRow,
        status::{StatusRow, status_columns},
    },
    statements::{composed, statements},
};

/// The columns, each set to or compared with the next value.
fn assigned(columns: impl Iterator<Item = &'static Column<AlertRow>>, between: &str) -> String {
    columns.map(|column| format!("{} = ?", column.name)).collect::<Vec<_>>().join(between)
}

fn update_alert() -> String {
    let (changing, key) = (assigned(AlertRow::changing(), ", "), assigned(AlertRow::key(), " AND "));
    format!("UPDATE alerts SET {changing} WHERE {key}")
}

composed! {
    INSERT_ALERT = AlertRow::insert("INSERT INTO");
    /// The values of the columns that may change, then the key.
    UPDATE_ALERT = update_alert();
    /// OR FAIL, so that SQLite keeps no copies of the pages it changes (migration 4); where it fails, the transaction is undone.
    INSERT_EVENT = EventRow::insert("INSERT OR FAIL INTO");
    /// OR FAIL, as for events.
    INSERT_HEAD_SIGNATURE = SignatureRow::insert("INSERT OR FAIL INTO");
    INSERT_HEAD = FeedHeadRow::insert("INSERT INTO");
    INSERT_STATUS = StatusRow::insert("INSERT INTO");
    INSERT_ORGANIZATION = OrganizationRow::insert("INSERT INTO");
    INSERT_KEY = KeyRow::insert("INSERT INTO");
    INSERT_ENTITY = EntityRow::insert("INSERT INTO");
    DELETE_ENTITY = EntityRow::delete();
    INSERT_ESCALATION = EscalationRow::insert("INSERT INTO");
    DELETE_ESCALATION = EscalationRow::delete();
}

statements! {
    SELECT_DECISION_INPUT = select_decision_input!("WITH questions(organization_id, anomaly_id, dedup_key, status, idempotency_key, since) \
        AS (VALUES (?1, ?2, ?3, ?4, ?5, ?6)) ", "0", "0", "NULL", "q.since");
    HAS_MIGRATIONS = "SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    SELECT_FIRST_MIGRATION = "SELECT checksum FROM _sqlx_migrations ORDER BY version LIMIT 1";
    SELECT_VERSION = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    UPDATE_HEAD = "UPDATE event_heads SET position = ?, hash = ? WHERE organization_id = ?";
    INSERT_IDEMPOTENCY_KEY = "INSERT OR REPLACE INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
        VALUES (?, ?, ?, ?, ?)";
    SELECT_IDEMPOTENCY_KEY = "SELECT fingerprint, answer FROM idempotency_keys \
        WHERE organization_id = ? AND key = ? AND created_at > ?";
    DELETE_OLD_IDEMPOTENCY_KEYS = "DELETE FROM idempotency_keys WHERE (organization_id, key) IN (\
        SELECT organization_id, key FROM idempotency_keys WHERE created_at <= ? ORDER BY created_at LIMIT 500)";
    DELETE_TO_ADOPT = "DELETE FROM alerts_to_adopt WHERE organization_id = ? AND anomaly_id = ?";
    SELECT_ALERT = concat!("SELECT ", alert_columns!(), " FROM alerts a WHERE a.organization_id = ? AND a.anomaly_id = ?");
    SELECT_STATUS = concat!("SELECT ", status_columns!(), " FROM alert_statuses \
        WHERE organization_id = ? AND key = ?");
    IS_STATUS_MISSING = "SELECT NOT EXISTS (SELECT 1 FROM alert_statuses WHERE organization_id = ? AND key = ?)";
    IS_STATUS_USED = "SELECT EXISTS (SELECT 1 FROM alerts WHERE organization_id = ? AND status = ?)";
    COUNT_STATUS_USES = "SELECT count(*) FROM alerts WHERE organization_id = ? AND status = ?";
    SELECT_ORGANIZATION_BY_NAME = "SELECT organization_id FROM organizations WHERE name = ?";
    SELECT_KEY_BY_DIGEST = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE digest = ?");
    TOUCH_KEY = "UPDATE api_keys SET last_used_at = ?1 WHERE key_id = ?2 \
        AND (last_used_at IS NULL OR last_used_at <= ?1 - 60000000)";
}

/// Every statement but lists: the name and the text of each.
pub fn all() -> Vec<(&'static str, &'static str)> {
    [FIXED, shared::sql::FIXED].concat().into_iter().chain(composed()).collect()
}
