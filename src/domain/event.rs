//! The history: immutable events, hash-chained into one feed for each organization.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Actor, AnomalyId, Changes, EstimatedSize, EventId, FieldChange, IdempotencyKey, Note, OrganizationId,
    Person, Timestamp, canonical, change::ChangeContext, clock::rfc3339, metadata, text::estimated_size,
};

/// A SHA-256 digest of the chain, written as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash before the first event.
    pub const ZERO: Self = Self([0; 32]);
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The end of an organization's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The position of the last event; 0 while there is none.
    pub position: i64,
    /// The hash of the last event; [`ChainHash::ZERO`] while there is none.
    pub hash: ChainHash,
}

impl Head {
    /// The head of a feed without events.
    pub const EMPTY: Self = Self { position: 0, hash: ChainHash::ZERO };
}

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The alert was made.
    Flagged,
    /// Fields changed, none of which has a type of its own.
    Updated,
    /// It moved to another status.
    StatusChanged,
    /// Somebody else works on it.
    Assigned,
    /// It was escalated to somebody.
    Escalated,
    /// Nothing changed; somebody noted something.
    Noted,
    /// A repeat was folded into the alert.
    Recurred,
    /// It moved to a status of the class closed.
    Closed,
    /// It moved out of the class closed.
    Reopened,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Flagged,
        Self::Updated,
        Self::StatusChanged,
        Self::Assigned,
        Self::Escalated,
        Self::Noted,
        Self::Recurred,
        Self::Closed,
        Self::Reopened,
    ];

    /// The word that JSON carries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flagged => "FLAGGED",
            Self::Updated => "UPDATED",
            Self::StatusChanged => "STATUS_CHANGED",
            Self::Assigned => "ASSIGNED",
            Self::Escalated => "ESCALATED",
            Self::Noted => "NOTED",
            Self::Recurred => "RECURRED",
            Self::Closed => "CLOSED",
            Self::Reopened => "REOPENED",
        }
    }

    /// The number that stores keep.
    pub const fn code(self) -> i16 {
        match self {
            Self::Flagged => 1,
            Self::Updated => 2,
            Self::StatusChanged => 3,
            Self::Assigned => 4,
            Self::Escalated => 5,
            Self::Noted => 6,
            Self::Recurred => 7,
            Self::Closed => 8,
            Self::Reopened => 9,
        }
    }

    /// The type that a stored number stands for.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One immutable entry of an alert's history.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEvent {
    /// Its id.
    pub id: EventId,
    /// The organization of the feed.
    pub organization_id: OrganizationId,
    /// The position in the feed: 1, 2, 3 …
    pub position: i64,
    /// The alert that it is about.
    pub anomaly_id: AnomalyId,
    /// The number within the history of the alert: 1, 2, 3 …
    pub sequence: i64,
    /// The type.
    pub kind: EventType,
    /// The author.
    pub actor: Actor,
    /// The fields that changed.
    pub changes: Changes,
    /// Why.
    pub note: Note,
    /// The call that did it.
    pub request_id: String,
    /// The intended change that did it, when the caller said so.
    pub idempotency_key: Option<IdempotencyKey>,
    /// When.
    pub created_at: Timestamp,
    /// The hash of the event before it in the feed.
    pub previous_hash: ChainHash,
    /// Its own hash.
    pub hash: ChainHash,
}

/// The overhead of an event in an answer, in bytes: ids, times, hashes and names of fields.
const FIXED: usize = 900;

impl AlertEvent {
    /// The event that follows `head`: its hash covers everything else about it.
    pub fn following(head: Head, happened: EventDraft<'_>) -> Self {
        let EventDraft { organization_id, anomaly_id, sequence, kind, changes, at, context } = happened;
        let mut event = Self {
            id: EventId::from_uuid(context.event_id),
            organization_id,
            position: head.position + 1,
            anomaly_id,
            sequence,
            kind,
            actor: context.actor.clone(),
            changes: Changes::new(changes),
            note: context.note.clone(),
            request_id: context.trace_id.clone(),
            idempotency_key: context.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
            created_at: at,
            previous_hash: head.hash,
            hash: ChainHash::ZERO,
        };
        event.hash = event.compute_hash();
        event
    }

    /// The head of the feed with this event as its last.
    pub const fn head(&self) -> Head {
        Head { position: self.position, hash: self.hash }
    }

    /// The head of the feed before this event.
    pub const fn head_before(&self) -> Head {
        Head { position: self.position - 1, hash: self.previous_hash }
    }

    /// Returns true for the first event of an alert that is older than histories are.
    pub fn is_adoption(&self) -> bool {
        self.sequence == 1 && self.actor.is_migration()
    }

    /// The hash that the event must have: of the previous hash and the canonical JSON (RFC 8785) of the event without
    /// its own hash.
    pub fn compute_hash(&self) -> ChainHash {
        let mut digest = Sha256::new();
        digest.update(self.previous_hash.0);
        digest.update(self.canonical_content());
        ChainHash(digest.finalize().into())
    }

    /// The event as JSON carries it.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut json = self.content();
        json.insert("hash".to_owned(), self.hash.to_string().into());
        json
    }

    /// [`Self::content`] in canonical JSON, written directly: its names are known, and so is their order. Every change of an
    /// alert passes here, while nothing else that it commits with can go on.
    fn canonical_content(&self) -> String {
        let mut json = String::with_capacity(FIXED + self.changes.text().len() + self.note.as_str().len());
        json.push_str("{\"actor\":");
        push_actor(&mut json, &self.actor);
        json.push_str(",\"anomaly_id\":\"");
        push(&mut json, self.anomaly_id);
        json.push_str("\",\"changes\":");
        json.push_str(self.changes.text());
        json.push_str(",\"created_at\":\"");
        json.push_str(&rfc3339(self.created_at));
        json.push_str("\",\"event_id\":\"");
        push(&mut json, self.id);
        json.push_str("\",\"idempotency_key\":");
        push_text(&mut json, self.idempotency_key.as_ref().map(IdempotencyKey::as_str));
        json.push_str(",\"note\":");
        push_text(&mut json, Some(self.note.as_str()));
        json.push_str(",\"organization_id\":\"");
        push(&mut json, self.organization_id);
        json.push_str("\",\"position\":");
        push(&mut json, self.position);
        json.push_str(",\"previous_hash\":\"");
        push(&mut json, self.previous_hash);
        json.push_str("\",\"request_id\":");
        push_text(&mut json, Some(&self.request_id));
        json.push_str(",\"sequence\":");
        push(&mut json, self.sequence);
        json.push_str(",\"type\":\"");
        json.push_str(self.kind.as_str());
        json.push_str("\"}");
        json
    }

    /// All that the hash covers.
    fn content(&self) -> Map<String, Value> {
        let content = json!({
            "event_id": self.id.to_string(),
            "organization_id": self.organization_id.to_string(),
            "position": self.position,
            "anomaly_id": self.anomaly_id.to_string(),
            "sequence": self.sequence,
            "type": self.kind.as_str(),
            "actor": self.actor.to_json(),
            "changes": self.changes.iter().map(FieldChange::to_json).collect::<Vec<_>>(),
            "note": self.note.as_str(),
            "request_id": self.request_id,
            "idempotency_key": self.idempotency_key.as_ref().map(IdempotencyKey::as_str),
            "created_at": rfc3339(self.created_at),
            "previous_hash": self.previous_hash.to_string(),
        });
        match content {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

impl EstimatedSize for AlertEvent {
    fn estimated_size(&self) -> usize {
        let changes = self.changes.iter().map(|change| {
            change.field.len()
                + metadata::estimated_size(&change.before)
                + metadata::estimated_size(&change.after)
        });
        let texts = estimated_size(self.note.as_str())
            + self.request_id.len()
            + self.idempotency_key.as_ref().map_or(0, |key| key.as_str().len());
        FIXED + texts + self.actor.estimated_size() + changes.sum::<usize>()
    }
}

/// An event before it has its position in the feed.
#[derive(Debug)]
pub struct EventDraft<'a> {
    /// The organization of the alert.
    pub organization_id: OrganizationId,
    /// The id of the alert.
    pub anomaly_id: AnomalyId,
    /// The place in the history of the alert.
    pub sequence: i64,
    /// The type.
    pub kind: EventType,
    /// The fields that changed.
    pub changes: Vec<FieldChange>,
    /// When.
    pub at: Timestamp,
    /// The circumstances.
    pub context: &'a ChangeContext,
}

/// Appends what needs no escaping.
fn push(json: &mut String, value: impl std::fmt::Display) {
    // Writing to a string never fails.
    let _ = write!(json, "{value}");
}

/// Appends an actor; directly where it is a key, as nearly all are.
fn push_actor(json: &mut String, actor: &Actor) {
    let Actor::Key { id, name, on_behalf_of } = actor else {
        return json.push_str(&canonical::canonical(&actor.to_json()));
    };
    json.push_str("{\"key_id\":\"");
    push(json, id);
    json.push_str("\",\"key_name\":");
    push_text(json, Some(name.as_str()));
    json.push_str(",\"on_behalf_of\":");
    push_text(json, on_behalf_of.as_ref().map(Person::as_str));
    json.push('}');
}

/// Appends text, or null.
fn push_text(json: &mut String, text: Option<&str>) {
    match text {
        Some(text) => canonical::push_text(json, text),
        None => json.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{KeyId, SourceId, Text};

    fn event(texts: [&str; 5], numbers: [i64; 2], key: Option<&str>, value: Value) -> AlertEvent {
        let [name, person, note, request_id, field] = texts;
        let id = Uuid::from_u128(numbers[0].unsigned_abs().into());
        let change = FieldChange { field: field.to_owned(), before: Value::Null, after: value };
        AlertEvent {
            id: EventId::from_uuid(id),
            organization_id: OrganizationId::from_uuid(id),
            position: numbers[0],
            anomaly_id: AnomalyId::from_uuid(id),
            sequence: numbers[1],
            kind: EventType::Flagged,
            actor: match numbers[1] % 4 {
                0 => Actor::Source { id: SourceId::from_uuid(id), name: Text::parse(name).unwrap() },
                1 => Actor::System { name: Text::parse(name).unwrap() },
                2 => Actor::Person {
                    issuer: Text::parse(name).unwrap(),
                    subject: Text::parse(name).unwrap(),
                    name: Text::parse(name).unwrap(),
                },
                _ => Actor::Key {
                    id: KeyId::from_uuid(id),
                    name: Text::parse(name).unwrap(),
                    on_behalf_of: Text::parse(person).ok(),
                },
            },
            changes: Changes::new(vec![change]),
            note: Text::parse(note).unwrap(),
            request_id: request_id.to_owned(),
            idempotency_key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
            created_at: Timestamp::from_timestamp_micros(numbers[1]).unwrap(),
            previous_hash: ChainHash([0xa7; 32]),
            hash: ChainHash::ZERO,
        }
    }

    proptest! {
        #[test]
        fn what_is_hashed_is_the_canonical_form_of_what_is_shown(
            texts in ["[^\\p{Cc}]{1,20}", "[^\\p{Cc}]{0,20}", "([^\\p{Cc}]|\n|\t){0,30}", "\\PC{0,20}", "\\PC{0,20}"],
            numbers in [1..1_i64 << 53, 1..1_i64 << 50],
            key in proptest::option::of("[!-~]{1,30}"),
            value in prop_oneof![any::<f64>().prop_map(Value::from), ".*".prop_map(Value::from)],
        ) {
            let event = event(texts.each_ref().map(String::as_str), numbers, key.as_deref(), value);
            prop_assert_eq!(event.canonical_content(), canonical::canonical(&Value::Object(event.content())));
        }
    }
}
