//! The parts of a statement that is composed for its values.

use super::value::Value;

/// A piece of a statement: text of our own, or a value that is bound and never becomes text.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// SQL.
    Sql(&'static str),
    /// Which index a branch is driven by, for a database that takes the hint.
    Index(&'static str),
    /// How many rows at most, as text, so that the database plans for it.
    Limit(i64),
    /// A value.
    Value(Value<'static>),
}

impl Part {
    /// A value that is bound.
    pub fn value(value: impl Into<Value<'static>>) -> Self {
        Self::Value(value.into())
    }
}

/// The text of a statement and the values to bind, with hints for a database that takes them.
pub fn statement(parts: &[Part], takes_hints: bool) -> (String, Vec<Value<'static>>) {
    let (mut sql, mut values) = (String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Sql(text) => sql.push_str(text),
            Part::Index(index) if takes_hints => sql.extend([" INDEXED BY ", index]),
            Part::Index(_) => {}
            Part::Limit(limit) => sql.push_str(&limit.to_string()),
            Part::Value(value) => {
                values.push(value.clone());
                sql.extend(["$", &values.len().to_string()]);
            }
        }
    }
    (sql, values)
}
