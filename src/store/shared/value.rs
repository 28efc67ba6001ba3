//! Values of columns, on their way to either database.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value as JsonValue};
use uuid::Uuid;

use crate::domain::Timestamp;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'r> {
    /// An id.
    Uuid(Option<Uuid>),
    /// Text.
    Text(Option<Cow<'r, str>>),
    /// A truth value.
    Bool(bool),
    /// The code of an enumeration.
    Code(i16),
    /// A number.
    Integer(i64),
    /// An instant.
    Time(Option<Timestamp>),
    /// A list of texts.
    Texts(&'r [String]),
    /// JSON.
    Json(Option<Json<'r>>),
    /// Bytes.
    Bytes(Cow<'r, [u8]>),
}

/// A JSON document or object.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Json<'r> {
    /// An object.
    Object(&'r Map<String, JsonValue>),
    /// A document.
    Document(&'r JsonValue),
}

/// The kinds of values, each of which a database has a type for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::Uuid`].
    Uuid,
    /// [`Value::Text`].
    Text,
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Code`].
    Code,
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Time`].
    Time,
    /// [`Value::Texts`].
    Texts,
    /// [`Value::Json`].
    Json,
    /// [`Value::Bytes`].
    Bytes,
}

/// The type of a field of a row.
pub trait Field {
    /// The kind of its values.
    const KIND: Kind;

    /// The value to store.
    fn value(&self) -> Value<'_>;
}

/// Implements [`Field`].
macro_rules! fields {
    ($($type:ty: $kind:ident, $field:ident => $value:expr;)+) => {
        $(impl Field for $type {
            const KIND: Kind = Kind::$kind;

            fn value(&self) -> Value<'_> {
                let $field = self;
                Value::$kind($value)
            }
        })+
    };
}

fields! {
    Uuid: Uuid, field => Some(*field);
    Option<Uuid>: Uuid, field => *field;
    String: Text, field => Some(field.into());
    Option<String>: Text, field => field.as_deref().map(Into::into);
    bool: Bool, field => *field;
    i16: Code, field => *field;
    i64: Integer, field => *field;
    Timestamp: Time, field => Some(*field);
    Option<Timestamp>: Time, field => *field;
    Vec<String>: Texts, field => field;
    Map<String, JsonValue>: Json, field => Some(Json::Object(field));
    Option<JsonValue>: Json, field => field.as_ref().map(Json::Document);
    Vec<u8>: Bytes, field => field.into();
}

impl From<Uuid> for Value<'_> {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(Some(uuid))
    }
}

impl From<Option<Uuid>> for Value<'_> {
    fn from(uuid: Option<Uuid>) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<&str> for Value<'static> {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned().into()))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i16> for Value<'_> {
    fn from(code: i16) -> Self {
        Self::Code(code)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Time(Some(time))
    }
}

impl From<[u8; 32]> for Value<'_> {
    fn from(digest: [u8; 32]) -> Self {
        Self::Bytes(digest.to_vec().into())
    }
}

/// Collects the values of a statement's parameters.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::store::shared::value::Value::from($value)),*]
    };
}
pub(in crate::store) use values;
