//! REST views of the history. Events are written exactly as they were hashed.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    schema::EventTypeWord,
    views::{ActorJson, ActorView, listed},
};
use crate::{
    domain::{AlertEvent, FieldChange, Head, OrganizationId, clock::rfc3339},
    service::ListedEvents,
};

/// One immutable entry of an alert's history, chained to the event before it in the organization's feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertEvent)]
pub struct EventView {
    /// The event's id, `evt_` and a UUIDv7.
    #[schema(example = "evt_019b8a38-0fd1-7289-86d1-bc76aa17a510")]
    event_id: String,
    /// Whose feed it stands in.
    organization_id: String,
    /// Where it stands in the organization's feed: 1, 2, 3 … without gaps.
    #[schema(minimum = 1)]
    position: i64,
    /// Which alert it is about.
    anomaly_id: String,
    /// Where it stands in the history of that alert: 1, 2, 3 … without gaps.
    #[schema(minimum = 1)]
    sequence: i64,
    /// What it tells.
    #[serde(rename = "type")]
    kind: EventTypeWord,
    /// Who did it.
    #[schema(value_type = ActorView)]
    actor: ActorJson,
    /// What changed; empty when the call only had a note.
    changes: Vec<ChangeView>,
    /// Why, in the caller's words; may be empty.
    note: String,
    /// The call that did it (`X-Request-Id`).
    request_id: String,
    /// The intended change that did it (`Idempotency-Key`); `null` when the caller named none.
    #[schema(required = true)]
    idempotency_key: Option<String>,
    /// When: UTC, microseconds.
    #[schema(format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    created_at: String,
    /// The hash of the event before it in the feed; zeros before the first.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    previous_hash: String,
    /// SHA-256 of the bytes of `previous_hash` and the canonical JSON (RFC 8785) of the event without this field.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}

impl From<AlertEvent> for EventView {
    fn from(event: AlertEvent) -> Self {
        Self {
            event_id: event.id.to_string(),
            organization_id: event.organization_id.to_string(),
            position: event.position,
            anomaly_id: event.anomaly_id.to_string(),
            sequence: event.sequence,
            kind: event.kind.into(),
            actor: event.actor.into(),
            changes: listed(event.changes.into_list(), ChangeView::from),
            note: event.note.into_string(),
            request_id: event.request_id,
            idempotency_key: event.idempotency_key.map(|key| key.as_str().to_owned()),
            created_at: rfc3339(event.created_at),
            previous_hash: event.previous_hash.to_string(),
            hash: event.hash.to_string(),
        }
    }
}

/// One field that an event changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldChange)]
struct ChangeView {
    /// The field's name, as in `Alert`; `entities_left_out` where a repeat's entities found no place.
    #[schema(example = "status")]
    field: String,
    /// Its value before; `null` for every field of a new alert.
    #[schema(value_type = Value, example = "FLAGGED")]
    before: Value,
    /// Its value after.
    #[schema(value_type = Value, example = "INVESTIGATING")]
    after: Value,
}

impl From<FieldChange> for ChangeView {
    fn from(change: FieldChange) -> Self {
        Self { field: change.field, before: change.before, after: change.after }
    }
}

/// One page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertEventList)]
pub struct EventListView {
    /// The events of the page, in order.
    data: Vec<EventView>,
    /// What to ask the next page with; empty: this was the last.
    next_page_token: String,
}

impl From<ListedEvents> for EventListView {
    fn from(page: ListedEvents) -> Self {
        Self { data: listed(page.events, EventView::from), next_page_token: page.next_page_token }
    }
}

/// Where the organization's feed ends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditHead)]
pub struct HeadView {
    /// Whose feed it is.
    organization_id: String,
    /// The position of the last event; 0 while there is none.
    #[schema(minimum = 0)]
    position: i64,
    /// The hash of the last event; zeros while there is none.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}

impl HeadView {
    /// Views the end of the feed of `organization`.
    pub fn new(organization: OrganizationId, head: Head) -> Self {
        let (position, hash) = (head.position, head.hash.to_string());
        Self { organization_id: organization.to_string(), position, hash }
    }
}
