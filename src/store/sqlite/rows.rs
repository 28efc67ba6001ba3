//! How SQLite keeps what the rows hold: instants as microseconds, lists and objects as JSON text.

use chrono::DateTime;
use serde::de::DeserializeOwned;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::{
    domain::Timestamp,
    store::rows::{AlertRow, KeyRow, OrganizationRow, StatusRow},
};

impl FromRow<'_, SqliteRow> for AlertRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        // By position, in the order of `ALERT_COLUMNS`: names would be looked up for every row.
        Ok(Self {
            organization_id: row.try_get(0)?,
            anomaly_id: row.try_get(1)?,
            title: row.try_get(2)?,
            description: row.try_get(3)?,
            kind: row.try_get(4)?,
            status: row.try_get(5)?,
            status_class: row.try_get(6)?,
            severity: row.try_get(7)?,
            assigned_to: row.try_get(8)?,
            escalated_to: json(row, 9)?,
            affected_balances: json(row, 10)?,
            affected_transactions: json(row, 11)?,
            affected_identities: json(row, 12)?,
            metadata: json(row, 13)?,
            version: row.try_get(14)?,
            created_at: instant(row.try_get(15)?)?,
            updated_at: instant(row.try_get(16)?)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for StatusRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            key: row.try_get("key")?,
            name: row.try_get("name")?,
            colour: row.try_get("colour")?,
            class: row.try_get("class")?,
            created_at: instant(row.try_get("created_at")?)?,
            updated_at: instant(row.try_get("updated_at")?)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for OrganizationRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            created_at: instant(row.try_get("created_at")?)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for KeyRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let optional = |column| row.try_get::<Option<i64>, _>(column)?.map(instant).transpose();
        Ok(Self {
            key_id: row.try_get("key_id")?,
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            owner: row.try_get("owner")?,
            scopes: json(row, "scopes")?,
            prefix: row.try_get("prefix")?,
            digest: row.try_get("digest")?,
            created_at: instant(row.try_get("created_at")?)?,
            expires_at: optional("expires_at")?,
            revoked_at: optional("revoked_at")?,
            last_used_at: optional("last_used_at")?,
        })
    }
}

fn json<T: DeserializeOwned>(
    row: &SqliteRow,
    column: impl sqlx::ColumnIndex<SqliteRow>,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn instant(micros: i64) -> Result<Timestamp, sqlx::Error> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| sqlx::Error::Decode(format!("{micros} microseconds is no instant").into()))
}

/// A list as the JSON text that is stored.
pub fn json_list<T: std::fmt::Display>(entries: &[T]) -> String {
    // A list of strings always serialises.
    serde_json::Value::from(crate::domain::text::words(entries)).to_string()
}
