//! How PostgreSQL keeps what the rows hold: in its own types.

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use crate::store::rows::{AlertRow, KeyRow, OrganizationRow, StatusRow};

impl FromRow<'_, PgRow> for AlertRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
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
            escalated_to: row.try_get(9)?,
            affected_balances: row.try_get(10)?,
            affected_transactions: row.try_get(11)?,
            affected_identities: row.try_get(12)?,
            metadata: row.try_get::<Json<_>, _>(13)?.0,
            version: row.try_get(14)?,
            created_at: row.try_get(15)?,
            updated_at: row.try_get(16)?,
        })
    }
}

impl FromRow<'_, PgRow> for StatusRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            key: row.try_get("key")?,
            name: row.try_get("name")?,
            colour: row.try_get("colour")?,
            class: row.try_get("class")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for OrganizationRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for KeyRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key_id: row.try_get("key_id")?,
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            owner: row.try_get("owner")?,
            scopes: row.try_get("scopes")?,
            prefix: row.try_get("prefix")?,
            digest: row.try_get("digest")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            revoked_at: row.try_get("revoked_at")?,
            last_used_at: row.try_get("last_used_at")?,
        })
    }
}
