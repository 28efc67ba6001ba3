//! The SQL of the PostgreSQL store.

use crate::store::{
    decision_input::select_decision_input, event_rows::event_columns, rows::alert_columns,
    signature_rows::signature_columns, statements::statements,
};

/// The part of a batch that is always saved: moves the heads that still are where its changes were decided from, appends the
/// events, records the answers, and adds the alerts that are made and the rows that index them. All else hangs on `head`: of an organization whose
/// head has moved, nothing is saved. Nor where another instance holds the head: nobody waits for it here. A head is found by where
/// its row stands, if that is known.
macro_rules! save_new {
    ($tuples:literal, $closing:expr, $after_closing:expr) => {
        concat!("WITH moved AS (SELECT m.organization_id, m.position, m.hash, m.revision, m.previous_hash, coalesce(m.tuple::tid, \
            (SELECT h.ctid FROM event_heads h WHERE h.organization_id = m.organization_id)) AS tuple \
            FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], ", $tuples, "::text[]) AS \
            m(organization_id, position, hash, revision, previous_hash, tuple)), \
        locked AS MATERIALIZED (SELECT h.organization_id, h.ctid AS tuple FROM event_heads h JOIN moved ON h.ctid = moved.tuple \
            AND h.organization_id = moved.organization_id ORDER BY h.organization_id FOR NO KEY UPDATE OF h SKIP LOCKED), \
        head AS (UPDATE event_heads h SET position = moved.position, hash = moved.hash, revision = h.revision + \
            1 FROM moved JOIN locked USING (organization_id) WHERE h.ctid = locked.tuple AND \
            h.organization_id = moved.organization_id AND h.revision = moved.revision AND h.hash = moved.previous_hash \
            RETURNING h.organization_id, h.ctid::text AS tuple), \
        event AS (INSERT INTO alert_events (organization_id, position, anomaly_id, sequence, event_id, type, \
            key_id, key_name, on_behalf_of, changes, note, request_id, idempotency_key, created_at, \
            previous_hash, hash) SELECT e.organization_id, e.position, e.anomaly_id, e.sequence, e.event_id, \
            e.type, e.key_id, e.key_name, e.on_behalf_of, e.changes, e.note, e.request_id, e.idempotency_key, \
            e.created_at, e.previous_hash, e.hash FROM unnest($6::uuid[], $7::bigint[], $8::uuid[], \
            $9::bigint[], $10::uuid[], $11::smallint[], $12::uuid[], $13::text[], $14::text[], $15::text[], \
            $16::text[], $17::text[], $18::text[], $19::timestamptz[], $20::bytea[], $21::bytea[]) AS \
            e(organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, on_behalf_of, \
            changes, note, request_id, idempotency_key, created_at, previous_hash, hash) JOIN head USING \
            (organization_id)), \
        memory AS (INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) SELECT \
            i.organization_id, i.key, i.fingerprint, i.answer, now() FROM unnest($22::uuid[], $23::text[], \
            $24::bytea[], $25::text[]) AS i(organization_id, key, fingerprint, answer) JOIN head USING \
            (organization_id)), ", $closing, " \
        made AS (INSERT INTO alerts (created_at, type, dedup_key, previous_anomaly_id, organization_id, \
            anomaly_id, title, description, status, status_class, severity, assigned_to, escalated_to, \
            affected_balances, affected_transactions, affected_identities, version, updated_at, disposition, \
            disposition_reason, closed_at, closed_by, occurrence_count, last_occurred_at, sequence, metadata) \
            SELECT a.created_at, a.type, a.dedup_key, a.previous_anomaly_id, a.organization_id, a.anomaly_id, \
            a.title, a.description, a.status, a.status_class, a.severity, a.assigned_to, a.escalated_to::text[], \
            a.affected_balances::text[], a.affected_transactions::text[], a.affected_identities::text[], \
            a.version, a.updated_at, a.disposition, a.disposition_reason, a.closed_at, a.closed_by, \
            a.occurrence_count, a.last_occurred_at, a.sequence, a.metadata FROM unnest($26::timestamptz[], \
            $27::smallint[], $28::text[], $29::uuid[], $30::uuid[], $31::uuid[], $32::text[], $33::text[], \
            $34::text[], $35::smallint[], $36::smallint[], $37::text[], $38::text[], $39::text[], $40::text[], \
            $41::text[], $42::bigint[], $43::timestamptz[], $44::smallint[], $45::text[], $46::timestamptz[], \
            $47::jsonb[], $48::bigint[], $49::timestamptz[], $50::bigint[], $51::jsonb[]) AS a(created_at, type, \
            dedup_key, previous_anomaly_id, organization_id, anomaly_id, title, description, status, \
            status_class, severity, assigned_to, escalated_to, affected_balances, affected_transactions, \
            affected_identities, version, updated_at, disposition, disposition_reason, closed_at, closed_by, \
            occurrence_count, last_occurred_at, sequence, metadata) JOIN head USING (organization_id)",
            $after_closing, "), \
        entities_in AS (INSERT INTO alert_entities (organization_id, created_at, anomaly_id, entity_id) SELECT \
            d.organization_id, d.created_at, d.anomaly_id, d.entity_id FROM unnest($52::uuid[], \
            $53::timestamptz[], $54::uuid[], $55::text[]) AS d(organization_id, created_at, anomaly_id, \
            entity_id) JOIN head USING (organization_id)), \
        people_in AS (INSERT INTO alert_escalations (organization_id, created_at, anomaly_id, escalated_to) \
            SELECT d.organization_id, d.created_at, d.anomaly_id, d.escalated_to FROM unnest($56::uuid[], \
            $57::timestamptz[], $58::uuid[], $59::text[]) AS d(organization_id, created_at, anomaly_id, \
            escalated_to) JOIN head USING (organization_id))")
    };
}

/// The fields of an alert that can change, as they are set.
macro_rules! alert_fields {
    () => {
        "title = c.title, description = c.description, status = c.status, \
            status_class = c.status_class, severity = c.severity, assigned_to = c.assigned_to, escalated_to = \
            c.escalated_to::text[], affected_balances = c.affected_balances::text[], affected_transactions = \
            c.affected_transactions::text[], affected_identities = c.affected_identities::text[], version = \
            c.version, updated_at = c.updated_at, disposition = c.disposition, disposition_reason = \
            c.disposition_reason, closed_at = c.closed_at, closed_by = c.closed_by, occurrence_count = \
            c.occurrence_count, last_occurred_at = c.last_occurred_at, sequence = c.sequence, metadata = \
            c.metadata"
    };
}

/// Changes the alerts that are closed afterwards. All others follow, and those that are made: only once an alert has left its
/// deduplication key may another take it.
macro_rules! closing {
    () => {
        concat!("changes AS (SELECT c.* FROM unnest($60::uuid[], $61::uuid[], $62::text[], $63::text[], $64::text[], \
            $65::smallint[], $66::smallint[], $67::text[], $68::text[], $69::text[], $70::text[], $71::text[], \
            $72::bigint[], $73::timestamptz[], $74::smallint[], $75::text[], $76::timestamptz[], $77::jsonb[], \
            $78::bigint[], $79::timestamptz[], $80::bigint[], $81::jsonb[]) AS c(organization_id, anomaly_id, \
            title, description, status, status_class, severity, assigned_to, escalated_to, affected_balances, \
            affected_transactions, affected_identities, version, updated_at, disposition, disposition_reason, \
            closed_at, closed_by, occurrence_count, last_occurred_at, sequence, metadata) JOIN head USING (organization_id)), \
        closed AS (UPDATE alerts a SET ", alert_fields!(), " FROM changes c WHERE a.organization_id = c.organization_id \
            AND a.anomaly_id = c.anomaly_id AND c.status_class = 3 RETURNING 1), ")
    };
}

/// The statement for a batch that also changes alerts.
macro_rules! save_all {
    () => {
        concat!(save_new!("$90", closing!(), " CROSS JOIN (SELECT count(*) FROM closed) AS done"), ", \
        changed AS (UPDATE alerts a SET ", alert_fields!(), " FROM changes c, (SELECT count(*) FROM closed) AS done \
            WHERE a.organization_id = c.organization_id AND a.anomaly_id = c.anomaly_id AND c.status_class <> 3), \
        entities_out AS (DELETE FROM alert_entities d USING unnest($82::uuid[], $83::timestamptz[], $84::uuid[], \
            $85::text[]) AS o(organization_id, created_at, anomaly_id, entity_id) JOIN head USING \
            (organization_id) WHERE d.organization_id = o.organization_id AND d.entity_id = o.entity_id AND \
            d.created_at = o.created_at AND d.anomaly_id = o.anomaly_id), \
        people_out AS (DELETE FROM alert_escalations d USING unnest($86::uuid[], $87::timestamptz[], \
            $88::uuid[], $89::text[]) AS o(organization_id, created_at, anomaly_id, escalated_to) JOIN head \
            USING (organization_id) WHERE d.organization_id = o.organization_id AND d.escalated_to = \
            o.escalated_to AND d.created_at = o.created_at AND d.anomaly_id = o.anomaly_id)")
    };
}

/// Adds the signatures of the heads, in the parameters named.
macro_rules! signing {
    ($organization:literal, $first_position:literal, $position:literal, $key:literal, $signature:literal) => {
        concat!(", signature AS (INSERT INTO head_signatures (", signature_columns!(), ") SELECT s.organization_id, \
            s.first_position, s.position, s.key_id, s.signature FROM unnest(", $organization, "::uuid[], ",
            $first_position, "::bigint[], ", $position, "::bigint[], ", $key, "::bytea[], ", $signature, "::bytea[]) AS \
            s(organization_id, first_position, position, key_id, signature) JOIN head USING (organization_id))")
    };
}

/// The result of a statement that saves: the organizations that it saved, and the places of their heads' rows.
macro_rules! saved {
    () => {
        " SELECT organization_id, tuple FROM head"
    };
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
    /// Saves a batch that only makes alerts.
    SAVE_NEW = concat!(save_new!("$60", "", ""), saved!());
    /// The same, and the signatures of the heads.
    SAVE_NEW_SIGNED = concat!(save_new!("$60", "", ""), signing!("$61", "$62", "$63", "$64", "$65"), saved!());
    /// Saves a batch that also changes alerts.
    SAVE = concat!(save_all!(), saved!());
    /// The same, and the signatures of the heads.
    SAVE_SIGNED = concat!(save_all!(), signing!("$91", "$92", "$93", "$94", "$95"), saved!());
    /// Remembers a change of a status.
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
    SELECT_HEAD = "SELECT position, hash FROM event_heads WHERE organization_id = $1";
    INSERT_HEAD = "INSERT INTO event_heads (organization_id, position, hash) VALUES ($1, $2, $3)";
    SELECT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND position > $2 ORDER BY position LIMIT $3");
    SELECT_ALERT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND anomaly_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4");
    SELECT_HEAD_SIGNATURES = concat!("SELECT ", signature_columns!(), " FROM head_signatures \
        WHERE organization_id = $1 AND position > $2 ORDER BY position LIMIT $3");
    SELECT_TO_ADOPT = "SELECT organization_id, anomaly_id FROM alerts_to_adopt \
        WHERE (organization_id, anomaly_id) > ($1, $2) ORDER BY organization_id, anomaly_id LIMIT 500";
    IS_TO_ADOPT = "SELECT EXISTS (SELECT 1 FROM alerts_to_adopt WHERE organization_id = $1 AND anomaly_id = $2)";
    DELETE_TO_ADOPT = "DELETE FROM alerts_to_adopt t USING unnest($1::uuid[], $2::uuid[]) AS \
        d(organization_id, anomaly_id) \
        WHERE t.organization_id = d.organization_id AND t.anomaly_id = d.anomaly_id";
    /// The number stands for this lock of redflag's, whatever else takes advisory locks in the database.
    LOCK_ADOPTION = "SELECT pg_try_advisory_lock(7310584017396524337)";
    SELECT_FOLLOWING = "SELECT position FROM alert_events WHERE organization_id = $1 AND previous_hash = $2 \
        ORDER BY position";
    SELECT_ALERTS_AFTER = concat!("SELECT ", alert_columns!(), " FROM alerts a \
        WHERE a.organization_id = $1 AND a.anomaly_id > $2 ORDER BY a.anomaly_id LIMIT $3");
    SELECT_ALERTS = concat!("SELECT ", alert_columns!(), " FROM unnest($1::uuid[], $2::uuid[]) AS k(organization_id, \
        anomaly_id) JOIN alerts a ON a.organization_id = k.organization_id AND a.anomaly_id = k.anomaly_id");
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
    SELECT_KEYS_BY_DIGEST = "SELECT key_id, organization_id, name, owner, scopes, prefix, digest, created_at, \
        expires_at, revoked_at, last_used_at FROM api_keys WHERE digest = ANY($1)";
    REVOKE_KEY = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $1) WHERE key_id = $2 \
        RETURNING key_id, organization_id, name, owner, scopes, prefix, digest, created_at, expires_at, revoked_at, \
        last_used_at";
    // Waits for nobody: not for whoever holds a row, and not for a standby (what is lost with the primary is noted again).
    TOUCH_KEYS = "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), \
        free AS MATERIALIZED (SELECT key_id, used.at FROM api_keys \
            JOIN unnest($1::uuid[], $2::timestamptz[]) AS used (id, at) ON key_id = used.id \
            WHERE last_used_at IS NULL OR last_used_at <= used.at - interval '60 seconds' \
            ORDER BY key_id FOR NO KEY UPDATE OF api_keys SKIP LOCKED) \
        UPDATE api_keys SET last_used_at = free.at FROM quick, free WHERE api_keys.key_id = free.key_id";
    SHOW_ENCODING = "SHOW server_encoding";
    TAKES_WRITES = "SELECT current_setting('transaction_read_only')";
    /// True while a statement or transaction of the instance named is in work, other than one that began a moment ago.
    WORKS_ON_SOMETHING = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND \
        pid <> pg_backend_pid() AND state <> 'idle' AND \
        coalesce(xact_start, query_start) < now() - interval '1 second')";
    BACKEND = "SELECT pg_backend_pid()::text";
    ANY_KEY = "SELECT EXISTS (SELECT 1 FROM api_keys)";
}
