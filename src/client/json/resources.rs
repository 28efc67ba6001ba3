//! Resources as JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::pb::{self, actor::Other},
    values::{disposition, entity_type, event_type, instant, object_of, severity, status_class, value_of},
};

/// Views an alert as REST does.
pub fn alert(alert: &pb::Alert) -> impl Serialize {
    AlertJson::from(alert)
}

/// Views a flagged alert as REST does.
pub fn flagged(flagged: &pb::FlagEntityResponse) -> impl Serialize {
    let alert = flagged.alert.as_ref().map(AlertJson::from);
    FlaggedJson { alert, deduplicated: flagged.deduplicated }
}

/// Views a list of alerts as a page of REST.
pub fn alerts(list: &pb::ListAlertsResponse) -> impl Serialize {
    let data: Vec<AlertJson> = views(&list.alerts);
    ListJson { data, next_page_token: &list.next_page_token, total: list.total_size }
}

/// Views a list of events as a page of REST.
pub fn events(list: &pb::ListAlertEventsResponse) -> impl Serialize {
    let data: Vec<EventJson> = views(&list.events);
    ListJson { data, next_page_token: &list.next_page_token, total: None }
}

/// Views a status as REST does.
pub fn status(status: &pb::AlertStatus) -> impl Serialize {
    StatusJson::from(status)
}

/// Views a list of statuses as a page of REST.
pub fn statuses(list: &pb::ListAlertStatusesResponse) -> impl Serialize {
    StatusListJson {
        data: views(&list.alert_statuses),
        builtin: views(&list.builtin),
        allowed_colours: &list.allowed_colours,
        next_page_token: &list.next_page_token,
    }
}

/// Views the deletion of a status as REST does.
pub fn deleted() -> impl Serialize {
    json!({ "message": "Status deleted" })
}

#[derive(Serialize)]
struct AlertJson<'a> {
    anomaly_id: &'a str,
    title: &'a str,
    description: &'a str,
    r#type: &'static str,
    assigned_to: &'a str,
    escalated_to: &'a [String],
    status: &'a str,
    created_at: Option<String>,
    updated_at: Option<String>,
    affected_balances: &'a [String],
    affected_identities: &'a [String],
    affected_transactions: &'a [String],
    organization_id: &'a str,
    status_class: &'static str,
    severity: Option<&'static str>,
    metadata: Map<String, Value>,
    version: i64,
    disposition: Option<&'static str>,
    disposition_reason: &'a str,
    closed_at: Option<String>,
    closed_by: Option<Value>,
    dedup_key: Option<&'a str>,
    occurrence_count: i64,
    last_occurred_at: Option<String>,
    previous_anomaly_id: Option<&'a str>,
}

impl<'a> From<&'a pb::Alert> for AlertJson<'a> {
    fn from(alert: &'a pb::Alert) -> Self {
        Self {
            anomaly_id: &alert.anomaly_id,
            title: &alert.title,
            description: &alert.description,
            r#type: entity_type(alert.r#type),
            assigned_to: &alert.assigned_to,
            escalated_to: &alert.escalated_to,
            status: &alert.status,
            created_at: instant(alert.created_at.as_ref()),
            updated_at: instant(alert.updated_at.as_ref()),
            affected_balances: &alert.affected_balances,
            affected_identities: &alert.affected_identities,
            affected_transactions: &alert.affected_transactions,
            organization_id: &alert.organization_id,
            status_class: status_class(alert.status_class),
            severity: severity(alert.severity),
            metadata: alert.metadata.as_ref().map(object_of).unwrap_or_default(),
            version: alert.version,
            disposition: disposition(alert.disposition),
            disposition_reason: &alert.disposition_reason,
            closed_at: instant(alert.closed_at.as_ref()),
            closed_by: alert.closed_by.as_ref().map(actor_json),
            dedup_key: given(&alert.dedup_key),
            occurrence_count: alert.occurrence_count,
            last_occurred_at: instant(alert.last_occurred_at.as_ref()),
            previous_anomaly_id: given(&alert.previous_anomaly_id),
        }
    }
}

#[derive(Serialize)]
struct FlaggedJson<'a> {
    #[serde(flatten)]
    alert: Option<AlertJson<'a>>,
    deduplicated: bool,
}

/// An actor as REST writes it: a key without a kind, the others with one.
fn actor_json(actor: &pb::Actor) -> Value {
    match &actor.other {
        None => json!({
            "key_id": actor.key_id,
            "key_name": actor.key_name,
            "on_behalf_of": actor.on_behalf_of,
        }),
        Some(Other::Person(pb::ActorPerson { issuer, subject, name })) => {
            json!({ "kind": "person", "issuer": issuer, "subject": subject, "name": name })
        }
        Some(Other::Source(pb::ActorSource { source_id, name })) => {
            json!({ "kind": "source", "source_id": source_id, "name": name })
        }
        Some(Other::System(pb::ActorSystem { name })) => json!({ "kind": "system", "name": name }),
    }
}

#[derive(Serialize)]
struct ListJson<'a, T> {
    data: Vec<T>,
    next_page_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    event_id: &'a str,
    organization_id: &'a str,
    position: i64,
    anomaly_id: &'a str,
    sequence: i64,
    r#type: &'static str,
    actor: Option<Value>,
    changes: Vec<ChangeJson<'a>>,
    note: &'a str,
    request_id: &'a str,
    idempotency_key: Option<&'a str>,
    created_at: Option<String>,
    previous_hash: &'a str,
    hash: &'a str,
}

impl<'a> From<&'a pb::AlertEvent> for EventJson<'a> {
    fn from(event: &'a pb::AlertEvent) -> Self {
        Self {
            event_id: &event.event_id,
            organization_id: &event.organization_id,
            position: event.position,
            anomaly_id: &event.anomaly_id,
            sequence: event.sequence,
            r#type: event_type(event.r#type),
            actor: event.actor.as_ref().map(actor_json),
            changes: views(&event.changes),
            note: &event.note,
            request_id: &event.request_id,
            idempotency_key: event.idempotency_key.as_deref(),
            created_at: instant(event.created_at.as_ref()),
            previous_hash: &event.previous_hash,
            hash: &event.hash,
        }
    }
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    field: &'a str,
    before: Value,
    after: Value,
}

impl<'a> From<&'a pb::FieldChange> for ChangeJson<'a> {
    fn from(change: &'a pb::FieldChange) -> Self {
        let value = |value: &Option<_>| value.as_ref().map_or(Value::Null, value_of);
        Self { field: &change.field, before: value(&change.before), after: value(&change.after) }
    }
}

#[derive(Serialize)]
struct StatusJson<'a> {
    organization_id: &'a str,
    key: &'a str,
    name: &'a str,
    colour: &'a str,
    created_at: Option<String>,
    updated_at: Option<String>,
    class: &'static str,
}

impl<'a> From<&'a pb::AlertStatus> for StatusJson<'a> {
    fn from(status: &'a pb::AlertStatus) -> Self {
        Self {
            organization_id: &status.organization_id,
            key: &status.key,
            name: &status.name,
            colour: &status.colour,
            created_at: instant(status.created_at.as_ref()),
            updated_at: instant(status.updated_at.as_ref()),
            class: status_class(status.class),
        }
    }
}

#[derive(Serialize)]
struct StatusListJson<'a> {
    data: Vec<StatusJson<'a>>,
    builtin: Vec<StatusJson<'a>>,
    allowed_colours: &'a [String],
    next_page_token: &'a str,
}

fn views<'a, T, V: From<&'a T>>(list: &'a [T]) -> Vec<V> {
    list.iter().map(V::from).collect()
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Actor, KeyId, Name, Person, SourceId, Text};

    #[test]
    fn actors_of_every_kind_are_written_as_rest_writes_them() {
        let id = Uuid::from_u128(7);
        let (name, person) = (|| Name::literal("ci"), || Person::literal("Ana"));
        let identity = |text| Text::parse(text).unwrap();
        for actor in [
            Actor::Key { id: KeyId::from_uuid(id), name: name(), on_behalf_of: None },
            Actor::Key { id: KeyId::from_uuid(id), name: name(), on_behalf_of: Some(person()) },
            Actor::Person { issuer: identity("https://id"), subject: identity("00u1"), name: person() },
            Actor::Source { id: SourceId::from_uuid(id), name: name() },
            Actor::System { name: name() },
        ] {
            assert_eq!(actor_json(&pb::Actor::from(actor.clone())), actor.to_json());
        }
    }
}
