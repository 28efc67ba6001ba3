//! Events as any database gives them, on their way to domain types.

use uuid::Uuid;

use super::{Inconsistent, StoreError, rows::Cell};
use crate::domain::{
    Actor, AlertEvent, AnomalyId, ChainHash, Changes, EventId, EventType, Head, IdempotencyKey, Invalid,
    KeyId, OrganizationId, Text, Timestamp,
};

/// A row of `alert_events`.
pub struct EventRow {
    pub organization_id: Uuid,
    pub position: i64,
    pub anomaly_id: Uuid,
    pub sequence: i64,
    pub event_id: Uuid,
    pub kind: i16,
    pub key_id: Uuid,
    pub key_name: String,
    pub on_behalf_of: Option<String>,
    pub changes: String,
    pub note: String,
    pub request_id: String,
    pub idempotency_key: Option<String>,
    pub created_at: Timestamp,
    pub previous_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

/// The columns of an [`EventRow`], in the order in which both stores read them.
macro_rules! event_columns {
    () => {
        "organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, on_behalf_of, changes, \
         note, request_id, idempotency_key, created_at, previous_hash, hash"
    };
}
pub(in crate::store) use event_columns;

impl TryFrom<EventRow> for AlertEvent {
    type Error = Inconsistent;

    /// Reads the event to the letter: text that redflag would have written otherwise was written by somebody else, and must
    /// not pass for what its hash was taken of.
    fn try_from(row: EventRow) -> Result<Self, Inconsistent> {
        let id = EventId::from_uuid(row.event_id);
        let cell = Cell { table: "alert_events", row: &id };
        let actor = Actor {
            key_id: KeyId::from_uuid(row.key_id),
            key_name: cell.read("key_name", exact(&row.key_name))?,
            on_behalf_of: cell.read("on_behalf_of", row.on_behalf_of.as_deref().map(exact).transpose())?,
        };
        let key = row.idempotency_key.as_deref().map(IdempotencyKey::parse).transpose();
        Ok(Self {
            id,
            organization_id: OrganizationId::from_uuid(row.organization_id),
            position: row.position,
            anomaly_id: AnomalyId::from_uuid(row.anomaly_id),
            sequence: row.sequence,
            kind: cell.known("type", EventType::from_code(row.kind), row.kind)?,
            actor,
            changes: cell.read("changes", Changes::parse(&row.changes))?,
            note: cell.read("note", exact(&row.note))?,
            request_id: row.request_id,
            idempotency_key: cell.read("idempotency_key", key)?,
            created_at: row.created_at,
            previous_hash: cell.read("previous_hash", chain_hash(row.previous_hash))?,
            hash: cell.read("hash", chain_hash(row.hash))?,
        })
    }
}

/// Text that is stored as it was parsed.
fn exact<const MIN: usize, const MAX: usize>(stored: &str) -> Result<Text<MIN, MAX>, Invalid> {
    let text = Text::parse(stored)?;
    if text.as_str() == stored { Ok(text) } else { Err(Invalid::new("must be stored as it was parsed")) }
}

/// Reads a stored digest.
pub fn chain_hash(bytes: Vec<u8>) -> Result<ChainHash, &'static str> {
    bytes.try_into().map(ChainHash).map_err(|_| "is not 32 bytes")
}

/// Reads a row of `event_heads`.
pub fn read_head(organization: OrganizationId, position: i64, hash: Vec<u8>) -> Result<Head, StoreError> {
    let cell = Cell { table: "event_heads", row: &organization };
    Ok(Head { position, hash: cell.read("hash", chain_hash(hash))? })
}
