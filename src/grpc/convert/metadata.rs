//! Conversions between `google.protobuf.Struct` and JSON.

use prost::Message;
use prost_types::{ListValue, Struct, Value as Proto, value::Kind};
use serde_json::{Map, Number, Value};

use crate::{
    domain::{Invalid, Metadata},
    service::Parsed,
};

/// Turns a struct into a JSON object.
///
/// # Errors
/// When it is far too large, or a number is infinite or NaN.
pub fn to_json(metadata: Struct) -> Parsed<Map<String, Value>> {
    /// A bound above every allowed struct: a number takes 11 bytes in a message and at least 2 as JSON.
    const MAX_ENCODED: usize = 8 * Metadata::MAX_BYTES;
    let encoded = metadata.encoded_len();
    if encoded > MAX_ENCODED {
        let rule =
            format!("must be at most {} bytes as JSON, is {encoded} bytes as a message", Metadata::MAX_BYTES);
        return Err(Invalid::new(rule));
    }
    object(metadata)
}

fn object(metadata: Struct) -> Parsed<Map<String, Value>> {
    metadata.fields.into_iter().map(|(key, value)| Ok((key, value_to_json(value)?))).collect()
}

/// Turns a JSON object into a struct.
pub fn from_json(metadata: &Map<String, Value>) -> Struct {
    Struct { fields: metadata.iter().map(|(key, value)| (key.clone(), value_from_json(value))).collect() }
}

fn value_to_json(value: Proto) -> Parsed<Value> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bool)) => Value::Bool(bool),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::NumberValue(number)) => Value::Number(number_to_json(number)?),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_to_json).collect::<Parsed<_>>()?,
        Some(Kind::StructValue(map)) => Value::Object(object(map)?),
    })
}

fn number_to_json(number: f64) -> Parsed<Number> {
    Number::from_f64(number)
        .ok_or_else(|| Invalid::new(format!("must hold only finite numbers, has {number}")))
}

/// Turns a JSON value into a message.
pub fn value_from_json(value: &Value) -> Proto {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        // Metadata holds only numbers that a double represents exactly.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(value_from_json).collect() })
        }
        Value::Object(map) => Kind::StructValue(from_json(map)),
    };
    Proto { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_round_trip() {
        let object = json!({ "a": [null, true, 1.5, "x", { "b": {} }], "c": -0.25 });
        let map = object.as_object().unwrap();
        assert_eq!(&to_json(from_json(map)).unwrap(), map);
    }

    #[test]
    fn a_far_too_large_struct_is_refused_before_conversion() {
        let large = json!({ "a": vec![f64::from(1); 12_000] });
        let refused = to_json(from_json(large.as_object().unwrap())).unwrap_err().to_string();
        assert!(refused.starts_with("must be at most 16384 bytes as JSON, is 132"), "{refused}");
        let dense = json!({ "a": vec![f64::from(1); 8_188] });
        assert!(Metadata::parse(to_json(from_json(dense.as_object().unwrap())).unwrap()).is_ok());
    }

    #[test]
    fn infinite_and_nan_numbers_are_refused() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Proto { kind: Some(Kind::NumberValue(number)) };
            assert!(to_json(Struct { fields: [("n".to_owned(), value)].into() }).is_err());
        }
    }
}
