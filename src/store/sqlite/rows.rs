//! How SQLite keeps what the rows hold: ids as blobs, instants as microseconds, lists and metadata as JSON text.

use chrono::DateTime;
use rusqlite::{
    Row, RowIndex,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    domain::{AnomalyId, Timestamp},
    store::{
        StoreError,
        decision_input::{ALERT_AT, DecisionInputRow, HeadRow},
        event_rows::EventRow,
        rows::{AlertRow, KeyRow, OrganizationRow, StatusRow, undecodable},
        signature_rows::SignatureRow,
    },
};

/// An instant, kept as microseconds since 1970.
struct Instant(Timestamp);

impl FromSql for Instant {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        DateTime::from_timestamp_micros(micros).map(Self).ok_or(FromSqlError::OutOfRange(micros))
    }
}

/// A value that is kept as JSON text.
struct Json<T>(T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

fn instant(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Timestamp> {
    Ok(row.get::<_, Instant>(column)?.0)
}

fn optional_instant(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<Instant>>(column)?.map(|at| at.0))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<T> {
    Ok(row.get::<_, Json<T>>(column)?.0)
}

/// A row of `alert_columns!`.
pub fn alert(row: &Row<'_>) -> Result<AlertRow, StoreError> {
    alert_at(row, 0)
}

/// The alert whose columns begin at `first`, in the order of `alert_columns!`: names would be looked up for every row.
fn alert_at(row: &Row<'_>, first: usize) -> Result<AlertRow, StoreError> {
    let id = AnomalyId::from_uuid(row.get(first + 1)?);
    Ok(decode_alert(row, first).map_err(|error| undecodable("alerts", id, error))?)
}

fn decode_alert(row: &Row<'_>, first: usize) -> rusqlite::Result<AlertRow> {
    Ok(AlertRow {
        organization_id: row.get(first)?,
        anomaly_id: row.get(first + 1)?,
        title: row.get(first + 2)?,
        description: row.get(first + 3)?,
        kind: row.get(first + 4)?,
        status: row.get(first + 5)?,
        status_class: row.get(first + 6)?,
        severity: row.get(first + 7)?,
        assigned_to: row.get(first + 8)?,
        escalated_to: json(row, first + 9)?,
        affected_balances: json(row, first + 10)?,
        affected_transactions: json(row, first + 11)?,
        affected_identities: json(row, first + 12)?,
        metadata: json(row, first + 13)?,
        version: row.get(first + 14)?,
        created_at: instant(row, first + 15)?,
        updated_at: instant(row, first + 16)?,
        disposition: row.get(first + 17)?,
        disposition_reason: row.get(first + 18)?,
        closed_at: optional_instant(row, first + 19)?,
        closed_by: row.get::<_, Option<Json<_>>>(first + 20)?.map(|actor| actor.0),
        dedup_key: row.get(first + 21)?,
        occurrence_count: row.get(first + 22)?,
        last_occurred_at: instant(row, first + 23)?,
        previous_anomaly_id: row.get(first + 24)?,
        sequence: row.get(first + 25)?,
    })
}

/// A row of `select_decision_input!`.
pub fn known(row: &Row<'_>) -> Result<DecisionInputRow, StoreError> {
    let found: Option<Uuid> = row.get(ALERT_AT)?;
    Ok(DecisionInputRow {
        number: row.get(0)?,
        position: row.get(1)?,
        hash: row.get(2)?,
        row: HeadRow { revision: row.get(3)?, tuple: row.get(4)? },
        require_disposition: row.get(5)?,
        status_class: row.get(6)?,
        fingerprint: row.get(7)?,
        answer: row.get(8)?,
        previous: row.get(9)?,
        rival: row.get(10)?,
        waits_for_adoption: row.get(11)?,
        alert: found.map(|_| alert_at(row, ALERT_AT)).transpose()?,
    })
}

/// A row of `event_columns!`.
pub fn event(row: &Row<'_>) -> Result<EventRow, StoreError> {
    let position: i64 = row.get(1)?;
    Ok(decode_event(row).map_err(|error| undecodable("alert_events", position, error))?)
}

fn decode_event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        organization_id: row.get(0)?,
        position: row.get(1)?,
        anomaly_id: row.get(2)?,
        sequence: row.get(3)?,
        event_id: row.get(4)?,
        kind: row.get(5)?,
        key_id: row.get(6)?,
        key_name: row.get(7)?,
        on_behalf_of: row.get(8)?,
        changes: row.get(9)?,
        note: row.get(10)?,
        request_id: row.get(11)?,
        idempotency_key: row.get(12)?,
        created_at: instant(row, 13)?,
        previous_hash: row.get(14)?,
        hash: row.get(15)?,
    })
}

/// A row of `head_signatures`, in the order of `signature_columns!`.
pub fn signature(row: &Row<'_>) -> Result<SignatureRow, StoreError> {
    Ok(SignatureRow {
        organization_id: row.get(0)?,
        first_position: row.get(1)?,
        position: row.get(2)?,
        key_id: row.get(3)?,
        signature: row.get(4)?,
    })
}

/// A row of `alert_statuses`.
pub fn status(row: &Row<'_>) -> Result<StatusRow, StoreError> {
    Ok(StatusRow {
        organization_id: row.get("organization_id")?,
        key: row.get("key")?,
        name: row.get("name")?,
        colour: row.get("colour")?,
        class: row.get("class")?,
        created_at: instant(row, "created_at")?,
        updated_at: instant(row, "updated_at")?,
    })
}

/// A row of `organizations`.
pub fn organization(row: &Row<'_>) -> Result<OrganizationRow, StoreError> {
    Ok(OrganizationRow {
        organization_id: row.get("organization_id")?,
        name: row.get("name")?,
        require_disposition: row.get("require_disposition")?,
        created_at: instant(row, "created_at")?,
    })
}

/// A row of `api_keys`.
pub fn key(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        key_id: row.get("key_id")?,
        organization_id: row.get("organization_id")?,
        name: row.get("name")?,
        owner: row.get("owner")?,
        scopes: json(row, "scopes")?,
        prefix: row.get("prefix")?,
        digest: row.get("digest")?,
        created_at: instant(row, "created_at")?,
        expires_at: optional_instant(row, "expires_at")?,
        revoked_at: optional_instant(row, "revoked_at")?,
        last_used_at: optional_instant(row, "last_used_at")?,
    })
}

/// A list as the JSON text that is stored.
pub fn json_list<T: std::fmt::Display>(entries: &[T]) -> String {
    // A list of strings always serialises.
    serde_json::Value::from(crate::domain::text::words(entries)).to_string()
}
