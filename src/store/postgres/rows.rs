//! How PostgreSQL keeps what the rows hold: in its own types.

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};
use tokio_stream::{Stream, StreamExt};

use uuid::Uuid;

use crate::{
    domain::{AnomalyId, EstimatedSize, Page, PageSize},
    store::{
        Inconsistent, StoreError,
        decision_input::{ALERT_AT, DecisionInputRow, HeadRow},
        event_rows::EventRow,
        rows::{AlertRow, KeyRow, OrganizationRow, PageReader, StatusRow, undecodable},
        signature_rows::SignatureRow,
    },
};

impl FromRow<'_, PgRow> for AlertRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        alert_row(row, 0)
    }
}

/// The alert whose columns begin at `first`, in the order of `ALERT_COLUMNS`: names would be looked up for every row.
fn alert_row(row: &PgRow, first: usize) -> Result<AlertRow, sqlx::Error> {
    let id = AnomalyId::from_uuid(row.try_get(first + 1)?);
    decode_alert(row, first).map_err(|error| sqlx::Error::Decode(undecodable("alerts", id, error).into()))
}

fn decode_alert(row: &PgRow, first: usize) -> Result<AlertRow, sqlx::Error> {
    Ok(AlertRow {
        organization_id: row.try_get(first)?,
        anomaly_id: row.try_get(first + 1)?,
        title: row.try_get(first + 2)?,
        description: row.try_get(first + 3)?,
        kind: row.try_get(first + 4)?,
        status: row.try_get(first + 5)?,
        status_class: row.try_get(first + 6)?,
        severity: row.try_get(first + 7)?,
        assigned_to: row.try_get(first + 8)?,
        escalated_to: row.try_get(first + 9)?,
        affected_balances: row.try_get(first + 10)?,
        affected_transactions: row.try_get(first + 11)?,
        affected_identities: row.try_get(first + 12)?,
        metadata: row.try_get::<Json<_>, _>(first + 13)?.0,
        version: row.try_get(first + 14)?,
        created_at: row.try_get(first + 15)?,
        updated_at: row.try_get(first + 16)?,
        disposition: row.try_get(first + 17)?,
        disposition_reason: row.try_get(first + 18)?,
        closed_at: row.try_get(first + 19)?,
        closed_by: row.try_get::<Option<Json<_>>, _>(first + 20)?.map(|actor| actor.0),
        dedup_key: row.try_get(first + 21)?,
        occurrence_count: row.try_get(first + 22)?,
        last_occurred_at: row.try_get(first + 23)?,
        previous_anomaly_id: row.try_get(first + 24)?,
        sequence: row.try_get(first + 25)?,
    })
}

impl FromRow<'_, PgRow> for DecisionInputRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let found: Option<Uuid> = row.try_get(ALERT_AT)?;
        Ok(Self {
            number: row.try_get(0)?,
            position: row.try_get(1)?,
            hash: row.try_get(2)?,
            row: HeadRow { revision: row.try_get(3)?, tuple: row.try_get(4)? },
            require_disposition: row.try_get(5)?,
            status_class: row.try_get(6)?,
            fingerprint: row.try_get(7)?,
            answer: row.try_get(8)?,
            previous: row.try_get(9)?,
            rival: row.try_get(10)?,
            waits_for_adoption: row.try_get(11)?,
            alert: found.map(|_| alert_row(row, ALERT_AT)).transpose()?,
        })
    }
}

impl FromRow<'_, PgRow> for EventRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let position: i64 = row.try_get(1)?;
        decode_event(row)
            .map_err(|error| sqlx::Error::Decode(undecodable("alert_events", position, error).into()))
    }
}

/// By position, in the order of `event_columns!`.
fn decode_event(row: &PgRow) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        organization_id: row.try_get(0)?,
        position: row.try_get(1)?,
        anomaly_id: row.try_get(2)?,
        sequence: row.try_get(3)?,
        event_id: row.try_get(4)?,
        kind: row.try_get(5)?,
        key_id: row.try_get(6)?,
        key_name: row.try_get(7)?,
        on_behalf_of: row.try_get(8)?,
        changes: row.try_get(9)?,
        note: row.try_get(10)?,
        request_id: row.try_get(11)?,
        idempotency_key: row.try_get(12)?,
        created_at: row.try_get(13)?,
        previous_hash: row.try_get(14)?,
        hash: row.try_get(15)?,
    })
}

impl FromRow<'_, PgRow> for SignatureRow {
    /// By position, in the order of `signature_columns!`.
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            organization_id: row.try_get(0)?,
            first_position: row.try_get(1)?,
            position: row.try_get(2)?,
            key_id: row.try_get(3)?,
            signature: row.try_get(4)?,
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
            require_disposition: row.try_get("require_disposition")?,
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

/// Reads rows until the page is full.
pub async fn take_page<Kept, T>(
    mut rows: impl Stream<Item = Result<Kept, sqlx::Error>> + Unpin,
    size: PageSize,
) -> Result<Page<T>, StoreError>
where
    T: TryFrom<Kept, Error = Inconsistent> + EstimatedSize,
{
    let mut reader = PageReader::new(size);
    while reader.wants_more() {
        let Some(row) = rows.next().await else { break };
        reader.take(row.map_err(StoreError::from))?;
    }
    Ok(reader.finish())
}
