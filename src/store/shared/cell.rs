//! Reading the values of a row into domain types; an error names table, row and column.

use std::fmt;

use crate::store::Inconsistent;

/// The place of a value, for the error that says it makes no sense.
pub struct Cell<'a> {
    /// The table.
    pub table: &'static str,
    /// The row, by its id.
    pub row: &'a dyn fmt::Display,
}

impl Cell<'_> {
    /// The value, as far as it could be parsed.
    pub fn read<T, E: fmt::Display>(
        &self,
        column: &'static str,
        parsed: Result<T, E>,
    ) -> Result<T, Inconsistent> {
        parsed.map_err(|problem| self.inconsistent(column, &problem))
    }

    /// The value that a code stands for.
    pub fn known<T>(&self, column: &'static str, found: Option<T>, code: i16) -> Result<T, Inconsistent> {
        found.ok_or_else(|| self.inconsistent(column, &format_args!("has the unknown code {code}")))
    }

    /// The entries of a list.
    pub fn list<T, E: fmt::Display>(
        &self,
        column: &'static str,
        raw: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Inconsistent> {
        raw.iter().map(|entry| self.read(column, parse(entry))).collect()
    }

    fn inconsistent(&self, column: &'static str, problem: &dyn fmt::Display) -> Inconsistent {
        Inconsistent { table: self.table, column, row: self.row.to_string(), problem: problem.to_string() }
    }
}
