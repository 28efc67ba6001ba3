//! The SQL that both databases understand.

use super::{
    rows::{
        adoption::adoption_columns,
        alert::alert_columns,
        event::{event_columns, head_columns, position_columns},
        key::key_columns,
        organization::organization_columns,
        signature::signature_columns,
        status::status_columns,
    },
    statements::statements,
};

statements! {
    SELECT_ALERTS_AFTER = concat!("SELECT ", alert_columns!(), " FROM alerts a \
        WHERE a.organization_id = $1 AND a.anomaly_id > $2 ORDER BY a.anomaly_id LIMIT $3");
    SELECT_HEAD = concat!("SELECT ", head_columns!(), " FROM event_heads WHERE organization_id = $1");
    SELECT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND position > $2 ORDER BY position LIMIT $3");
    SELECT_ALERT_EVENTS = concat!("SELECT ", event_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND anomaly_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4");
    SELECT_FOLLOWING = concat!("SELECT ", position_columns!(), " FROM alert_events \
        WHERE organization_id = $1 AND previous_hash = $2 ORDER BY position");
    SELECT_HEAD_SIGNATURES = concat!("SELECT ", signature_columns!(), " FROM head_signatures \
        WHERE organization_id = $1 AND position > $2 ORDER BY position LIMIT $3");
    SELECT_TO_ADOPT = concat!("SELECT ", adoption_columns!(), " FROM alerts_to_adopt \
        WHERE (organization_id, anomaly_id) > ($1, $2) ORDER BY organization_id, anomaly_id LIMIT 500");
    IS_TO_ADOPT = concat!("SELECT ", adoption_columns!(), " FROM alerts_to_adopt \
        WHERE organization_id = $1 AND anomaly_id = $2");
    SELECT_STATUSES = concat!("SELECT ", status_columns!(), " FROM alert_statuses \
        WHERE organization_id = $1 AND key > $2 AND builtin = $3 ORDER BY key LIMIT $4");
    UPDATE_STATUS = "UPDATE alert_statuses SET name = $1, colour = $2, updated_at = $3 \
        WHERE organization_id = $4 AND key = $5";
    DELETE_STATUS = "DELETE FROM alert_statuses WHERE organization_id = $1 AND key = $2";
    SELECT_ORGANIZATIONS = concat!("SELECT ", organization_columns!(), " FROM organizations \
        ORDER BY created_at, organization_id");
    REQUIRE_DISPOSITION = concat!("UPDATE organizations SET require_disposition = $1 WHERE organization_id = $2 \
        RETURNING ", organization_columns!());
    SELECT_KEYS = concat!("SELECT ", key_columns!(), " FROM api_keys \
        WHERE organization_id = coalesce($1, organization_id) ORDER BY created_at, key_id");
    REVOKE_KEY = concat!("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $1) WHERE key_id = $2 \
        RETURNING ", key_columns!());
    ANY_KEY = "SELECT EXISTS (SELECT 1 FROM api_keys)";
}
