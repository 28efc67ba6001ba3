//! How SQLite keeps values: ids as blobs, instants as microseconds, lists and JSON as text.

use chrono::DateTime;
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, Null, ToSqlOutput, ValueRef},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as JsonValue};
use uuid::Uuid;

use crate::{
    domain::Timestamp,
    store::shared::{
        row::{Get, Row, Undecodable},
        value::Value,
    },
};

/// An instant, kept as microseconds since 1970.
struct Instant(Timestamp);

impl FromSql for Instant {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        DateTime::from_timestamp_micros(micros).map(Self).ok_or(FromSqlError::OutOfRange(micros))
    }
}

/// A value that is kept as JSON text.
struct Json<T>(T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

/// Reads columns of the type `$kept` as `$type`.
macro_rules! columns {
    ($($type:ty, $kept:ty, $read:expr;)+) => {
        $(impl Get<$type> for rusqlite::Row<'_> {
            fn column(&self, index: usize) -> Result<$type, Undecodable> {
                self.get::<_, $kept>(index).map($read).map_err(Undecodable::new)
            }
        })+
    };
}

columns! {
    Uuid, Uuid, |uuid| uuid;
    Option<Uuid>, Option<Uuid>, |uuid| uuid;
    String, String, |text| text;
    Option<String>, Option<String>, |text| text;
    bool, bool, |truth| truth;
    i16, i16, |code| code;
    Option<i16>, Option<i16>, |code| code;
    i64, i64, |number| number;
    Timestamp, Instant, |at| at.0;
    Option<Timestamp>, Option<Instant>, |at| at.map(|at| at.0);
    Vec<String>, Json<Vec<String>>, |list| list.0;
    Map<String, JsonValue>, Json<Map<String, JsonValue>>, |object| object.0;
    Option<JsonValue>, Option<Json<JsonValue>>, |document| document.map(|document| document.0);
    Vec<u8>, Vec<u8>, |bytes| bytes;
    Option<Vec<u8>>, Option<Vec<u8>>, |bytes| bytes;
}

impl Row for rusqlite::Row<'_> {}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Uuid(Some(uuid)) => ToSqlOutput::Borrowed(ValueRef::Blob(uuid.as_bytes())),
            Self::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bool(truth) => (*truth).into(),
            Self::Code(code) => (*code).into(),
            Self::Integer(number) => (*number).into(),
            Self::Time(Some(time)) => time.timestamp_micros().into(),
            // Texts and JSON values always serialise.
            Self::Texts(list) => JsonValue::from(*list).to_string().into(),
            Self::Json(Some(json)) => serde_json::to_string(json).unwrap_or_default().into(),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Uuid(None) | Self::Text(None) | Self::Time(None) | Self::Json(None) => Null.into(),
        })
    }
}
