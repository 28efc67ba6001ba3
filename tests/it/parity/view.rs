//! From messages to the words of JSON.

use chrono::{DateTime, SecondsFormat};
use prost_types::{Struct, Timestamp, Value as Proto, value::Kind};
use redflag::grpc::pb::{
    Actor, Alert, AlertEvent, AlertStatus, Disposition, EntityType, FieldChange, Severity, StatusClass,
};
use serde_json::{Value, json};

pub fn alert_view(alert: &Alert) -> Value {
    json!({
        "anomaly_id": alert.anomaly_id,
        "title": alert.title,
        "description": alert.description,
        "type": match alert.r#type() {
            EntityType::Unspecified => panic!("{alert:?} is of no kind"),
            EntityType::Balance => "Balance",
            EntityType::Transaction => "Transaction",
            EntityType::Identity => "Identity",
        },
        "assigned_to": alert.assigned_to,
        "escalated_to": alert.escalated_to,
        "status": alert.status,
        "created_at": written(alert.created_at.as_ref()),
        "updated_at": written(alert.updated_at.as_ref()),
        "affected_balances": alert.affected_balances,
        "affected_identities": alert.affected_identities,
        "affected_transactions": alert.affected_transactions,
        "organization_id": alert.organization_id,
        "status_class": class_word(alert.status_class()),
        "severity": match alert.severity() {
            Severity::Unspecified => None,
            Severity::Low => Some("low"),
            Severity::Medium => Some("medium"),
            Severity::High => Some("high"),
            Severity::Critical => Some("critical"),
        },
        "metadata": alert.metadata.as_ref().map(structure),
        "version": alert.version,
        "disposition": match alert.disposition() {
            Disposition::Unspecified => None,
            Disposition::TruePositive => Some("TRUE_POSITIVE"),
            Disposition::FalsePositive => Some("FALSE_POSITIVE"),
            Disposition::Benign => Some("BENIGN"),
            Disposition::Duplicate => Some("DUPLICATE"),
            Disposition::Inconclusive => Some("INCONCLUSIVE"),
        },
        "disposition_reason": alert.disposition_reason,
        "closed_at": alert.closed_at.as_ref().map(|at| written(Some(at))),
        "closed_by": alert.closed_by.as_ref().map(actor_view),
        "dedup_key": unless_empty(&alert.dedup_key),
        "occurrence_count": alert.occurrence_count,
        "last_occurred_at": written(alert.last_occurred_at.as_ref()),
        "previous_anomaly_id": unless_empty(&alert.previous_anomaly_id),
    })
}

fn actor_view(actor: &Actor) -> Value {
    json!({ "key_id": actor.key_id, "key_name": actor.key_name, "on_behalf_of": actor.on_behalf_of })
}

fn unless_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub fn event_view(event: &AlertEvent) -> Value {
    json!({
        "event_id": event.event_id,
        "organization_id": event.organization_id,
        "position": event.position,
        "anomaly_id": event.anomaly_id,
        "sequence": event.sequence,
        "type": event.r#type().as_str_name().trim_start_matches("ALERT_EVENT_TYPE_"),
        "actor": actor_view(event.actor.as_ref().unwrap()),
        "changes": event.changes.iter().map(change_view).collect::<Vec<_>>(),
        "note": event.note,
        "request_id": event.request_id,
        "idempotency_key": event.idempotency_key,
        "created_at": written(event.created_at.as_ref()),
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    })
}

fn change_view(change: &FieldChange) -> Value {
    let value = |value: &Option<Proto>| json_value(value.as_ref().unwrap());
    json!({ "field": change.field, "before": value(&change.before), "after": value(&change.after) })
}

pub fn status_view(status: &AlertStatus) -> Value {
    json!({
        "organization_id": status.organization_id,
        "key": status.key,
        "name": status.name,
        "colour": status.colour,
        "created_at": written(status.created_at.as_ref()),
        "updated_at": written(status.updated_at.as_ref()),
        "class": class_word(status.class()),
    })
}

fn class_word(class: StatusClass) -> &'static str {
    match class {
        StatusClass::Unspecified => panic!("a status is of no class"),
        StatusClass::Open => "open",
        StatusClass::InProgress => "in_progress",
        StatusClass::Closed => "closed",
    }
}

fn written(at: Option<&Timestamp>) -> String {
    let at = at.unwrap();
    let at = DateTime::from_timestamp(at.seconds, at.nanos.try_into().unwrap()).unwrap();
    assert_eq!(at.timestamp_subsec_nanos() % 1_000, 0, "more than microseconds");
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn structure(map: &Struct) -> Value {
    map.fields.iter().map(|(key, value)| (key.clone(), json_value(value))).collect()
}

fn json_value(value: &Proto) -> Value {
    match value.kind.as_ref().unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(truth) => (*truth).into(),
        // A double that is whole reads as a whole number.
        Kind::NumberValue(number) => serde_json::from_str(&number.to_string()).unwrap(),
        Kind::StringValue(text) => text.as_str().into(),
        Kind::ListValue(list) => list.values.iter().map(json_value).collect(),
        Kind::StructValue(map) => structure(map),
    }
}
