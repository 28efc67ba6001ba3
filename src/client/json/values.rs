//! Values of messages as JSON values and as text.

use chrono::DateTime;
use serde_json::{Map, Number, Value};

use super::super::{Struct, Timestamp};
use crate::{
    domain::{
        Disposition, EntityType, EventType, Severity, StatusClass, clock::rfc3339, metadata::whole_number,
    },
    grpc,
};

/// Turns a JSON object into metadata. Numbers become doubles.
pub fn metadata(object: &Map<String, Value>) -> Struct {
    grpc::struct_from_json(object)
}

/// Writes metadata as JSON in one line.
pub fn object_text(metadata: &Struct) -> String {
    Value::Object(object_of(metadata)).to_string()
}

/// Writes a value in one line for people: text without quotes, anything else as JSON.
pub fn value_text(value: Option<&prost_types::Value>) -> String {
    match value.map_or(Value::Null, value_of) {
        Value::String(text) => text,
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// Writes an instant in RFC 3339, UTC, with microseconds; `None` for an absent or invalid one.
pub fn instant(at: Option<&Timestamp>) -> Option<String> {
    let at = at?;
    let nanos = u32::try_from(at.nanos).unwrap_or_default();
    DateTime::from_timestamp(at.seconds, nanos).map(rfc3339)
}

/// Returns the word for an [`EntityType`](crate::client::pb::EntityType); empty for an unknown one.
pub fn entity_type(code: i32) -> &'static str {
    small(code).and_then(EntityType::from_code).map(EntityType::as_str).unwrap_or_default()
}

/// Returns the word for a [`StatusClass`](crate::client::pb::StatusClass); empty for an unknown one.
pub fn status_class(code: i32) -> &'static str {
    small(code).and_then(StatusClass::from_code).map(StatusClass::as_str).unwrap_or_default()
}

/// Returns the word for a [`Severity`](crate::client::pb::Severity); `None` for an unspecified or unknown one.
pub fn severity(code: i32) -> Option<&'static str> {
    small(code).and_then(Severity::from_code).and_then(Severity::word)
}

/// Returns the word for a [`Disposition`](crate::client::pb::Disposition); `None` for an unspecified or unknown one.
pub fn disposition(code: i32) -> Option<&'static str> {
    small(code).and_then(Disposition::from_code).and_then(Disposition::word)
}

/// Returns the word for an [`AlertEventType`](crate::client::pb::AlertEventType); empty for an unknown one.
pub fn event_type(code: i32) -> &'static str {
    small(code).and_then(EventType::from_code).map(EventType::as_str).unwrap_or_default()
}

fn small(code: i32) -> Option<i16> {
    code.try_into().ok()
}

/// Turns metadata into a JSON object.
pub fn object_of(metadata: &Struct) -> Map<String, Value> {
    metadata.fields.iter().map(|(name, value)| (name.clone(), value_of(value))).collect()
}

/// Turns a value into JSON.
pub fn value_of(value: &prost_types::Value) -> Value {
    use prost_types::value::Kind;
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bool)) => Value::Bool(*bool),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::NumberValue(number)) => number_of(*number),
        Some(Kind::ListValue(list)) => list.values.iter().map(value_of).collect(),
        Some(Kind::StructValue(map)) => Value::Object(object_of(map)),
    }
}

/// Turns a double into a JSON number; whole numbers have no fraction, as on the server.
fn number_of(number: f64) -> Value {
    let whole = Some(number).filter(|number| number.fract() == 0.0).and_then(whole_number);
    whole.map(Number::from).or_else(|| Number::from_f64(number)).map_or(Value::Null, Value::Number)
}
