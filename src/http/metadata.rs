//! The parser of `metadata`: refuses repeated names, and keeps no more than an alert may hold.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, map::Entry};

use crate::{
    domain::{Invalid, Metadata, invalid::quoted},
    service::Parsed,
};

/// The beginning of the parser's error for a repeated name; the name follows.
pub const REPEATED_NAME: &str = "repeated name ";

/// The size from which values are measured but not kept. The canonical form is at most three times shorter than compact JSON
/// (`5.0` becomes `5`), so nothing acceptable is lost.
const MAX_KEPT: usize = 4 * Metadata::MAX_BYTES;

/// A metadata object, or the rule that it breaks.
#[derive(Debug)]
pub struct MetadataBody(Parsed<Map<String, Value>>);

impl MetadataBody {
    /// Returns the object, or the rule that it breaks.
    pub fn into_given(self) -> Parsed<Map<String, Value>> {
        self.0
    }
}

impl<'de> Deserialize<'de> for MetadataBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut size = 0;
        let object = deserializer.deserialize_map(Object(&mut size))?;
        let too_large = || Invalid::too_many(Metadata::MAX_BYTES, "bytes as JSON", size);
        Ok(Self(if size > MAX_KEPT { Err(too_large()) } else { Ok(object) }))
    }
}

/// Reads an object, and adds its size as compact JSON to the counter.
struct Object<'a>(&'a mut usize);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        let mut comma = 0;
        *self.0 += "{}".len();
        while let Some(name) = entries.next_key::<String>()? {
            *self.0 += comma + text_size(&name) + ":".len();
            comma = 1;
            let value = entries.next_value_seed(Any(self.0))?;
            if *self.0 > MAX_KEPT {
                continue;
            }
            match object.entry(name) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(taken) => {
                    return Err(A::Error::custom(format_args!("{REPEATED_NAME}{}", quoted(taken.key()))));
                }
            };
        }
        Ok(object)
    }
}

/// Reads any value, and adds its size as compact JSON to the counter.
struct Any<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        *self.0 += "null".len();
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        *self.0 += if value { "true".len() } else { "false".len() };
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(number(self.0, value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(number(self.0, value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let finite = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(number(self.0, finite))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        *self.0 += text_size(value);
        Ok(if *self.0 > MAX_KEPT { Value::Null } else { Value::String(value.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let mut comma = 0;
        *self.0 += "[]".len();
        while let Some(value) = entries.next_element_seed(Any(self.0))? {
            *self.0 += comma;
            comma = 1;
            if *self.0 <= MAX_KEPT {
                values.push(value);
            }
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        Object(self.0).visit_map(entries).map(Value::Object)
    }
}

fn number(size: &mut usize, number: impl Into<Number>) -> Value {
    let number = number.into();
    *size += number.to_string().len();
    Value::Number(number)
}

/// Returns the bytes of a text as JSON, with its quotes.
fn text_size(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\t' | b'\r' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + escapes.sum::<usize>() + "\"\"".len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_unchanged() {
        let object = json!({ "a": [null, true, -1, 1.5, "x\u{1}\n", [], { "b": {} }], "c": u64::MAX });
        let read: MetadataBody = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(&read.into_given().unwrap(), object.as_object().unwrap());
    }

    #[test]
    fn the_size_in_the_error_is_that_of_compact_json() {
        let object = json!({ "a": vec![json!({ "x\"": [1, -2.5, null, "\u{1}\r\n"], "y": true }); 4_000] });
        let raw = object.to_string();
        let read: MetadataBody = serde_json::from_str(&raw).unwrap();
        let rule = read.into_given().unwrap_err().to_string();
        assert_eq!(rule, format!("must be at most 16384 bytes as JSON, is {}", raw.len()));
    }

    proptest! {
        #[test]
        fn texts_are_measured_as_json(text in any::<String>()) {
            prop_assert_eq!(text_size(&text), Value::from(text).to_string().len());
        }
    }
}
