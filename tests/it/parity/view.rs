//! From messages to the words of JSON.

use chrono::{DateTime, SecondsFormat};
use prost_types::{Struct, Timestamp, Value as Proto, value::Kind};
use redflag::grpc::pb::{Alert, AlertStatus, EntityType, Severity, StatusClass};
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
    })
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
