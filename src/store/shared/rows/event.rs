//! Rows of `alert_events` and `event_heads`.

use uuid::Uuid;

use crate::{
    domain::{
        Actor, ActorKind, AlertEvent, AnomalyId, ChainHash, Changes, EventId, EventType, Head,
        IdempotencyKey, Invalid, KeyId, OrganizationId, Person, SourceId, Text, Timestamp,
    },
    store::{
        Inconsistent,
        shared::{cell::Cell, row::row},
    },
};

row! {
    /// A row of `alert_events`.
    pub struct EventRow(event_columns: "", "alert_events", 1: i64 => |position| position) -> AlertEvent {
        organization_id: Uuid,
        position: i64,
        anomaly_id: Uuid,
        sequence: i64,
        event_id: Uuid,
        kind as "type": i16,
        key_id: Uuid,
        key_name: String,
        on_behalf_of: Option<String>,
        changes: String,
        note: String,
        request_id: String,
        idempotency_key: Option<String>,
        created_at: Timestamp,
        previous_hash: Vec<u8>,
        hash: Vec<u8>,
        actor_kind: i16,
        actor_issuer: Option<String>,
        actor_subject: Option<String>,
    }
}
pub(in crate::store) use event_columns;

impl TryFrom<EventRow> for AlertEvent {
    type Error = Inconsistent;

    /// Reads the event to the letter: text that redflag would have written otherwise was written by somebody else, and must
    /// not pass for what its hash was taken of.
    fn try_from(row: EventRow) -> Result<Self, Inconsistent> {
        let id = EventId::from_uuid(row.event_id);
        let cell = Cell { table: "alert_events", row: &id };
        let actor = read_actor(&row, &cell)?;
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

/// Reads who acted. An id and a name stand in the columns of keys, whatever they are of.
fn read_actor(row: &EventRow, cell: &Cell<'_>) -> Result<Actor, Inconsistent> {
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(match cell.known("actor_kind", ActorKind::from_code(row.actor_kind), row.actor_kind)? {
        ActorKind::Key => Actor::Key {
            id: KeyId::from_uuid(row.key_id),
            name: cell.read("key_name", exact(&row.key_name))?,
            on_behalf_of: cell.read("on_behalf_of", row.on_behalf_of.as_deref().map(exact).transpose())?,
        },
        ActorKind::Person => Actor::Person {
            issuer: cell.read("actor_issuer", exact(&given(&row.actor_issuer)))?,
            subject: cell.read("actor_subject", exact(&given(&row.actor_subject)))?,
            name: cell.read("key_name", exact(&row.key_name))?,
        },
        ActorKind::Source => Actor::Source {
            id: SourceId::from_uuid(row.key_id),
            name: cell.read("key_name", exact(&row.key_name))?,
        },
        ActorKind::System => Actor::System { name: cell.read("key_name", exact(&row.key_name))? },
    })
}

/// The values of the columns about an actor: the id, the name, the person a key acts for, and the identity of a person.
fn actor_columns(actor: &Actor) -> (Uuid, &str, Option<&Person>, Option<[&str; 2]>) {
    match actor {
        Actor::Key { id, name, on_behalf_of } => (id.uuid(), name.as_str(), on_behalf_of.as_ref(), None),
        Actor::Person { issuer, subject, name } => {
            (Uuid::nil(), name.as_str(), None, Some([issuer.as_str(), subject.as_str()]))
        }
        Actor::Source { id, name } => (id.uuid(), name.as_str(), None, None),
        Actor::System { name } => (Uuid::nil(), name.as_str(), None, None),
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

row! {
    /// A row of `event_heads`.
    pub struct FeedHeadRow(head_columns: "", "event_heads", 0: Uuid => OrganizationId::from_uuid) -> Head {
        organization_id: Uuid,
        position: i64,
        hash: Vec<u8>,
    }
}
pub(in crate::store) use head_columns;

impl TryFrom<FeedHeadRow> for Head {
    type Error = Inconsistent;

    fn try_from(row: FeedHeadRow) -> Result<Self, Inconsistent> {
        let id = OrganizationId::from_uuid(row.organization_id);
        let cell = Cell { table: "event_heads", row: &id };
        Ok(Self { position: row.position, hash: cell.read("hash", chain_hash(row.hash))? })
    }
}

impl FeedHeadRow {
    /// The row of a head.
    pub fn of(organization: OrganizationId, head: Head) -> Self {
        Self { organization_id: organization.uuid(), position: head.position, hash: head.hash.0.to_vec() }
    }
}

impl From<&AlertEvent> for EventRow {
    fn from(event: &AlertEvent) -> Self {
        let (id, name, on_behalf_of, identity) = actor_columns(&event.actor);
        let [actor_issuer, actor_subject] =
            identity.map_or([None, None], |identity| identity.map(|text| Some(text.to_owned())));
        Self {
            organization_id: event.organization_id.uuid(),
            position: event.position,
            anomaly_id: event.anomaly_id.uuid(),
            sequence: event.sequence,
            event_id: event.id.uuid(),
            kind: event.kind.code(),
            key_id: id,
            key_name: name.to_owned(),
            on_behalf_of: on_behalf_of.map(ToString::to_string),
            changes: event.changes.text().to_owned(),
            note: event.note.as_str().to_owned(),
            request_id: event.request_id.clone(),
            idempotency_key: event.idempotency_key.as_ref().map(|key| key.as_str().to_owned()),
            created_at: event.created_at,
            previous_hash: event.previous_hash.0.to_vec(),
            hash: event.hash.0.to_vec(),
            actor_kind: event.actor.kind().code(),
            actor_issuer,
            actor_subject,
        }
    }
}

row! {
    /// The position of an event.
    pub struct PositionRow(position_columns: "", "alert_events", 0: i64 => |position| position) -> i64 {
        position: i64,
    }
}
pub(in crate::store) use position_columns;

impl TryFrom<PositionRow> for i64 {
    type Error = Inconsistent;

    fn try_from(row: PositionRow) -> Result<Self, Inconsistent> {
        Ok(row.position)
    }
}
