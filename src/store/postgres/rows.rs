//! How PostgreSQL keeps values: in its own types.

use serde_json::{Map, Value as JsonValue};
use sqlx::{
    Arguments, FromRow,
    error::BoxDynError,
    postgres::{PgArguments, PgRow},
    types::Json,
};
use tokio_stream::{Stream, StreamExt};
use uuid::Uuid;

use crate::{
    domain::{EstimatedSize, Page, PageSize, Timestamp},
    store::{
        StoreError,
        shared::{
            page::PageReader,
            row::{Column, Decode, Get, Row, Undecodable},
            value::{Kind, Value},
        },
    },
};

/// Reads columns of the type `$kept` as `$type`.
macro_rules! columns {
    ($($type:ty, $kept:ty, $read:expr;)+) => {
        $(impl Get<$type> for PgRow {
            fn column(&self, index: usize) -> Result<$type, Undecodable> {
                sqlx::Row::try_get::<$kept, _>(self, index).map($read).map_err(Undecodable::new)
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
    Timestamp, Timestamp, |at| at;
    Option<Timestamp>, Option<Timestamp>, |at| at;
    Vec<String>, Vec<String>, |list| list;
    Map<String, JsonValue>, Json<Map<String, JsonValue>>, |object| object.0;
    Option<JsonValue>, Option<Json<JsonValue>>, |document| document.map(|document| document.0);
    Vec<u8>, Vec<u8>, |bytes| bytes;
    Option<Vec<u8>>, Option<Vec<u8>>, |bytes| bytes;
}

impl Row for PgRow {}

/// A row that was decoded.
pub struct Decoded<K>(pub K);

impl<K: Decode> FromRow<'_, PgRow> for Decoded<K> {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        K::decode(row, 0).map(Self).map_err(|inconsistent| sqlx::Error::Decode(inconsistent.into()))
    }
}

/// Reads rows until the page is full.
pub async fn take_page<K: Decode>(
    mut rows: impl Stream<Item = Result<Decoded<K>, sqlx::Error>> + Unpin,
    size: PageSize,
) -> Result<Page<K::Entity>, StoreError>
where
    K::Entity: EstimatedSize,
{
    let mut reader = PageReader::new(size);
    while reader.wants_more() {
        let Some(row) = rows.next().await else { break };
        reader.take(row.map(|Decoded(row)| row).map_err(StoreError::from))?;
    }
    Ok(reader.finish())
}

/// The arguments of a statement.
///
/// # Errors
/// Only where a value can't be encoded.
pub fn arguments<'v>(values: impl IntoIterator<Item = Value<'v>>) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    for value in values {
        add(&mut arguments, value).map_err(StoreError::Internal)?;
    }
    Ok(arguments)
}

fn add(arguments: &mut PgArguments, value: Value<'_>) -> Result<(), BoxDynError> {
    match value {
        Value::Uuid(uuid) => arguments.add(uuid),
        Value::Text(text) => arguments.add(text.as_deref()),
        Value::Bool(truth) => arguments.add(truth),
        Value::Code(code) => arguments.add(code),
        Value::Integer(number) => arguments.add(number),
        Value::Time(time) => arguments.add(time),
        Value::Texts(list) => arguments.add(list),
        Value::Json(json) => arguments.add(json.map(Json)),
        Value::Bytes(bytes) => arguments.add(bytes.as_ref()),
    }
}

/// The type of a column's values, as the elements of an array.
pub const fn element(kind: Kind) -> &'static str {
    match kind {
        Kind::Uuid => "uuid",
        // Lists of different lengths fit no array of arrays: each is text.
        Kind::Text | Kind::Texts => "text",
        Kind::Bool => "boolean",
        Kind::Code => "smallint",
        Kind::Integer => "bigint",
        Kind::Time => "timestamptz",
        Kind::Json => "jsonb",
        Kind::Bytes => "bytea",
    }
}

/// Adds the values of a column as an array, one for each row.
///
/// # Errors
/// Only where a value can't be encoded.
pub fn add_column<R>(arguments: &mut PgArguments, column: &Column<R>, rows: &[R]) -> Result<(), BoxDynError> {
    /// Collects what the variant `$kind` holds.
    macro_rules! all {
        ($kind:ident, $value:pat => $kept:expr) => {{
            let kept = rows.iter().filter_map(|row| match (column.value)(row) {
                Value::$kind($value) => Some($kept),
                _ => None,
            });
            arguments.add(kept.collect::<Vec<_>>())
        }};
    }
    match column.kind {
        Kind::Uuid => all!(Uuid, uuid => uuid),
        Kind::Text => all!(Text, text => text),
        Kind::Bool => all!(Bool, truth => truth),
        Kind::Code => all!(Code, code => code),
        Kind::Integer => all!(Integer, number => number),
        Kind::Time => all!(Time, time => time),
        Kind::Texts => all!(Texts, list => array_text(list)),
        Kind::Json => all!(Json, json => json.map(Json)),
        Kind::Bytes => all!(Bytes, bytes => bytes.into_owned()),
    }
}

/// A list in PostgreSQL's own notation.
fn array_text(list: &[String]) -> String {
    let quoted = |entry: &String| format!("\"{}\"", entry.replace('\\', "\\\\").replace('"', "\\\""));
    let quoted: Vec<_> = list.iter().map(quoted).collect();
    format!("{{{}}}", quoted.join(","))
}
