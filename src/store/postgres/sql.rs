//! The SQL of the PostgreSQL store.

use super::save_statement::compose;
use crate::store::shared::{
    self,
    decision_input::select_decision_input,
    row::Table,
    rows::{
        alert::alert_columns,
        event::FeedHeadRow,
        key::{KeyRow, key_columns},
        organization::OrganizationRow,
        status::{StatusRow, status_columns},
    },
    statements::{composed, statements},
};

composed! {
    /// Saves a batch that only makes alerts.
    SAVE_NEW = compose(false, false);
    /// The same, and the signatures of the heads.
    SAVE_NEW_SIGNED = compose(false, true);
    /// Saves a batch that also changes alerts.
    SAVE = compose(true, false);
    /// The same, and the signatures of the heads.
    SAVE_SIGNED = compose(true, true);
    INSERT_HEAD = FeedHeadRow::insert("INSERT INTO");
    INSERT_STATUS = StatusRow::insert("INSERT INTO");
    INSERT_ORGANIZATION = OrganizationRow::insert("INSERT INTO");
    /// Waits for whoever is making an organization of that name.
    INSERT_ORGANIZATION_IF_NEW = OrganizationRow::insert("INSERT INTO") + " ON CONFLICT (name) DO NOTHING";
    INSERT_KEY = KeyRow::insert("INSERT INTO");
}

/// The time since when idempotency keys count: by the database's clock, which is the same for every instance.
macro_rules! idempotency_keys_since {
    () => {
        "now() - interval '24 hours'"
    };
}

statements! {
    SELECT_DECISION_INPUT = select_decision_input!("WITH questions AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], \
        $5::text[]) WITH ORDINALITY \
        AS q(organization_id, anomaly_id, dedup_key, status, idempotency_key, number)) ", "q.number", "h.revision", "h.ctid::text",
        idempotency_keys_since!());
    /// Records a change of a status.
    INSERT_IDEMPOTENCY_KEY = "INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
        VALUES ($1, $2, $3, $4, now())";
    SELECT_IDEMPOTENCY_KEY = concat!("SELECT fingerprint, answer FROM idempotency_keys \
        WHERE organization_id = $1 AND key = $2 AND created_at > ", idempotency_keys_since!());
    DELETE_EXPIRED_IDEMPOTENCY_KEYS = concat!("DELETE FROM idempotency_keys i USING unnest($1::uuid[], $2::text[]) AS \
        k(organization_id, key) WHERE i.organization_id = k.organization_id AND i.key = k.key AND i.created_at <= ",
        idempotency_keys_since!());
    /// Skips what another instance is deleting.
    DELETE_OLD_IDEMPOTENCY_KEYS = concat!("DELETE FROM idempotency_keys WHERE (organization_id, key) IN (\
        SELECT organization_id, key FROM idempotency_keys WHERE created_at <= ", idempotency_keys_since!(), " \
        ORDER BY created_at LIMIT 500 FOR UPDATE SKIP LOCKED)");
    /// In their order, as every statement locks several.
    LOCK_HEADS = "SELECT organization_id FROM event_heads WHERE organization_id = ANY($1) ORDER BY organization_id \
        FOR NO KEY UPDATE";
    LOCK_FREE_HEADS = "SELECT organization_id FROM event_heads WHERE organization_id = ANY($1) ORDER BY organization_id \
        FOR NO KEY UPDATE SKIP LOCKED";
    DELETE_TO_ADOPT = "DELETE FROM alerts_to_adopt t USING unnest($1::uuid[], $2::uuid[]) AS \
        d(organization_id, anomaly_id) \
        WHERE t.organization_id = d.organization_id AND t.anomaly_id = d.anomaly_id";
    /// The number stands for this lock of redflag's, whatever else takes advisory locks in the database.
    LOCK_ADOPTION = "SELECT pg_try_advisory_lock(7310584017396524337)";
    SELECT_ALERTS = concat!("SELECT ", alert_columns!(), " FROM unnest($1::uuid[], $2::uuid[]) AS k(organization_id, \
        anomaly_id) JOIN alerts a ON a.organization_id = k.organization_id AND a.anomaly_id = k.anomaly_id");
    SELECT_STATUS_FOR_UPDATE = concat!("SELECT ", status_columns!(), " FROM alert_statuses \
        WHERE organization_id = $1 AND key = $2 FOR NO KEY UPDATE");
    SELECT_MISSING_STATUSES = "SELECT wanted FROM unnest($2::text[]) AS wanted WHERE NOT EXISTS \
        (SELECT 1 FROM alert_statuses WHERE organization_id = $1 AND key = wanted)";
    COUNT_STATUS_USES = "SELECT count(*) FROM alerts WHERE organization_id = $1 AND status = $2";
    LOCK_ORGANIZATION_BY_NAME = "SELECT organization_id FROM organizations WHERE name = $1 FOR UPDATE";
    SELECT_KEYS_BY_DIGEST = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE digest = ANY($1)");
    // Waits for nobody: not for whoever holds a row, and not for a standby (what is lost with the primary is noted again).
    TOUCH_KEYS = "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), \
        free AS MATERIALIZED (SELECT key_id, used.at FROM api_keys \
            JOIN unnest($1::uuid[], $2::timestamptz[]) AS used (id, at) ON key_id = used.id \
            WHERE last_used_at IS NULL OR last_used_at <= used.at - interval '60 seconds' \
            ORDER BY key_id FOR NO KEY UPDATE OF api_keys SKIP LOCKED) \
        UPDATE api_keys SET last_used_at = free.at FROM quick, free WHERE api_keys.key_id = free.key_id";
    NOTIFY = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";
    SHOW_ENCODING = "SHOW server_encoding";
    TAKES_WRITES = "SELECT current_setting('transaction_read_only')";
    /// True while a statement or transaction of the instance named is in work, other than one that began a moment ago.
    WORKS_ON_SOMETHING = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND \
        pid <> pg_backend_pid() AND state <> 'idle' AND \
        coalesce(xact_start, query_start) < now() - interval '1 second')";
    BACKEND = "SELECT pg_backend_pid()::text";
}

/// Every statement but lists: the name and the text of each.
pub fn all() -> Vec<(&'static str, &'static str)> {
    [FIXED, shared::sql::FIXED].concat().into_iter().chain(composed()).collect()
}
