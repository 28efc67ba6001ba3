//! Rows: each declared once, with its table, its columns and how they are read, for both databases.

use std::fmt;

use serde_json::{Map, Value as JsonValue};
use uuid::Uuid;

use super::value::{Kind, Value};
use crate::{domain::Timestamp, store::Inconsistent};

/// Reads a column of a row as a driver gives it, by position: names would be looked up for every row.
pub trait Get<T> {
    /// Reads the column at `index`.
    ///
    /// # Errors
    /// When it holds something else.
    fn column(&self, index: usize) -> Result<T, Undecodable>;
}

/// The reason why a column can't be decoded.
pub struct Undecodable(Box<dyn fmt::Display + Send + Sync>);

impl Undecodable {
    /// The error of a driver.
    pub fn new(error: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

/// A row as a driver gives it.
pub trait Row:
    Get<Uuid>
    + Get<Option<Uuid>>
    + Get<String>
    + Get<Option<String>>
    + Get<bool>
    + Get<i16>
    + Get<Option<i16>>
    + Get<i64>
    + Get<Timestamp>
    + Get<Option<Timestamp>>
    + Get<Vec<String>>
    + Get<Map<String, JsonValue>>
    + Get<Option<JsonValue>>
    + Get<Vec<u8>>
    + Get<Option<Vec<u8>>>
{
}

/// The columns of a row from some index on, read one after the other.
pub struct Columns<'r, R> {
    row: &'r R,
    next: usize,
}

impl<'r, R: Row> Columns<'r, R> {
    /// The columns from `first` on.
    pub const fn from(row: &'r R, first: usize) -> Self {
        Self { row, next: first }
    }

    /// Reads the next column.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn take<T>(&mut self) -> Result<T, Undecodable>
    where
        R: Get<T>,
    {
        let index = self.next;
        self.next += 1;
        self.row.column(index)
    }
}

/// Decodes what a statement answers.
pub trait Decode: Sized {
    /// The value that it stands for.
    type Entity: TryFrom<Self, Error = Inconsistent> + Send + 'static;

    /// Reads the columns from `first` on, in the order in which they are declared.
    ///
    /// # Errors
    /// When one of them holds something else; it names the row.
    fn decode<R: Row>(row: &R, first: usize) -> Result<Self, Inconsistent>;
}

/// A row that can't be decoded, with what it is.
pub fn undecodable(table: &'static str, row: impl fmt::Display, problem: &Undecodable) -> Inconsistent {
    Inconsistent { table, column: "a column", row: row.to_string(), problem: problem.0.to_string() }
}

/// A column of a table.
pub struct Column<T> {
    /// The name.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// The value of a row.
    pub value: for<'r> fn(&'r T) -> Value<'r>,
}

/// A row that is written column by column.
pub trait Table: Sized + 'static {
    /// The name of the table.
    const TABLE: &'static str;
    /// The columns, in the order in which they are read and written.
    const COLUMNS: &'static [Column<Self>];

    /// The names of the columns.
    fn names() -> String {
        Self::COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    /// The values of a row.
    fn values(&self) -> Vec<Value<'_>> {
        Self::COLUMNS.iter().map(|column| (column.value)(self)).collect()
    }

    /// The statement that inserts a row, which begins with `verb`.
    fn insert(verb: &str) -> String {
        let places: Vec<_> = (1..=Self::COLUMNS.len()).map(|place| format!("${place}")).collect();
        format!("{verb} {} ({}) VALUES ({})", Self::TABLE, Self::names(), places.join(", "))
    }

    /// The statement that deletes the row that has all of these values.
    fn delete() -> String {
        let columns = Self::COLUMNS.iter().zip(1..);
        let equal: Vec<_> = columns.map(|(column, place)| format!("{} = ${place}", column.name)).collect();
        format!("DELETE FROM {} WHERE {}", Self::TABLE, equal.join(" AND "))
    }
}

/// The name of a column: that of its field, unless it has its own.
macro_rules! column_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $column:literal) => {
        $column
    };
}
pub(in crate::store) use column_name;

/// Declares a row that is written: a struct with a field for each column, of a table.
macro_rules! table {
    ($(#[$attribute:meta])*
    pub struct $row:ident($table:literal) {
        $($(#[$field_attribute:meta])* $field:ident $(as $column:literal)?: $type:ty,)+
    }) => {
        $(#[$attribute])*
        pub struct $row {
            $($(#[$field_attribute])* pub $field: $type,)+
        }

        impl $crate::store::shared::row::Table for $row {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [$crate::store::shared::row::Column<Self>] = &[
                $($crate::store::shared::row::Column {
                    name: $crate::store::shared::row::column_name!($field $($column)?),
                    kind: <$type as $crate::store::shared::value::Field>::KIND,
                    value: |row| $crate::store::shared::value::Field::value(&row.$field),
                }),+
            ];
        }
    };
}
pub(in crate::store) use table;

/// Declares a row that is read too: also a macro that lists the columns in statements, each with the prefix; which column
/// names the row in errors, and how; and the domain type that it stands for.
macro_rules! row {
    ($(#[$attribute:meta])*
    pub struct $row:ident($columns:ident: $prefix:literal, $table:literal, $key:literal: $key_type:ty => $name:expr)
    -> $entity:ty {
        $first:ident $(as $first_column:literal)?: $first_type:ty,
        $($(#[$field_attribute:meta])* $field:ident $(as $column:literal)?: $type:ty,)*
    }) => {
        $crate::store::shared::row::table! {
            $(#[$attribute])*
            pub struct $row($table) {
                $first $(as $first_column)?: $first_type,
                $($(#[$field_attribute])* $field $(as $column)?: $type,)*
            }
        }

        #[doc = concat!("The columns of [`", stringify!($row), "`], in the order in which they are read.")]
        macro_rules! $columns {
            () => {
                concat!(
                    $prefix, $crate::store::shared::row::column_name!($first $($first_column)?)
                    $(, ", ", $prefix, $crate::store::shared::row::column_name!($field $($column)?))*
                )
            };
        }

        impl $crate::store::shared::row::Decode for $row {
            type Entity = $entity;

            fn decode<R: $crate::store::shared::row::Row>(
                row: &R,
                first: usize,
            ) -> Result<Self, $crate::store::Inconsistent> {
                use $crate::store::shared::row::{Columns, Get, Undecodable, undecodable};

                let mut columns = Columns::from(row, first);
                let mut decode = || -> Result<Self, Undecodable> {
                    Ok(Self { $first: columns.take()?, $($field: columns.take()?,)* })
                };
                decode().map_err(|problem| {
                    match <R as Get<$key_type>>::column(row, first + $key).map($name) {
                        Ok(name) => undecodable($table, name, &problem),
                        Err(_) => undecodable($table, "an unknown row", &problem),
                    }
                })
            }
        }
    };
}
pub(in crate::store) use row;
