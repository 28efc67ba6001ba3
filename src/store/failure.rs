//! The one funnel for what drivers report.

use rusqlite::ffi;
use sqlx::error::{DatabaseError, ErrorKind};

use super::{
    StoreError,
    sqlite::codes::{self, Damaged, Meaning},
};

/// The failure of a statement: a constraint, which means something where it was run, or anything else.
pub enum Failure {
    /// Something with that key is there already.
    Unique,
    /// A foreign key: the row referred to is missing, or this row is still referred to.
    ForeignKey,
    /// Anything else.
    Other(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().map(DatabaseError::kind) {
            Some(ErrorKind::UniqueViolation) => Self::Unique,
            Some(ErrorKind::ForeignKeyViolation) => Self::ForeignKey,
            _ => Self::Other(error.into()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Self::Unique,
            Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Self::ForeignKey,
            _ => Self::Other(error.into()),
        }
    }
}

impl Failure {
    /// The error, where a violation of a constraint means nothing in particular.
    pub fn unexpected(self) -> StoreError {
        let violated = |constraint: &str| StoreError::Internal(format!("violated: {constraint}").into());
        self.meaning(violated("a unique key"), violated("a foreign key"))
    }

    /// The error, where a unique violation means `unique` and one of a foreign key means `foreign_key`.
    pub fn meaning(self, unique: StoreError, foreign_key: StoreError) -> StoreError {
        match self {
            Self::Unique => unique,
            Self::ForeignKey => foreign_key,
            Self::Other(error) => error,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = match error {
            sqlx::Error::Decode(cause) => match cause.downcast() {
                Ok(inconsistent) => return Self::Inconsistent(*inconsistent),
                Err(other) => sqlx::Error::Decode(other),
            },
            other => other,
        };
        match meaning(&error) {
            Passing::Locked => Self::Locked(Box::new(error)),
            Passing::Cancelled => Self::Cancelled(Box::new(error)),
            Passing::Away => Self::Unavailable(Box::new(error)),
            Passing::Not => Self::Internal(Box::new(error)),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match codes::meaning(&error) {
            Meaning::Passing | Meaning::Refused => Self::Unavailable(Box::new(error)),
            Meaning::Damaged => Self::Internal(Box::new(Damaged(error))),
            Meaning::Unexpected => Self::Internal(Box::new(error)),
        }
    }
}

/// Returns true where the same statement may well succeed a moment later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// Others are at work on the same rows: it may be run again at once.
    Locked,
    /// It was cancelled: run again, it would take as long again.
    Cancelled,
    /// The connection or the server is at fault, so the others on it fail too.
    Away,
    /// It would fail again.
    Not,
}

fn meaning(error: &sqlx::Error) -> Passing {
    match error {
        // The reply made no sense, so the statement may or may not have happened.
        sqlx::Error::Protocol(_)
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Passing::Away,
        sqlx::Error::Database(error) => error.code().map_or(Passing::Not, |state| meaning_of(&state)),
        _ => Passing::Not,
    }
}

/// The meaning of an SQLSTATE of PostgreSQL. Locked: a serialization failure, a deadlock, and a lock that was not to be had in time.
/// Away: read-only (25006), as after a failover; silent for too long in a transaction (25P03); and the classes connection (08),
/// login (28, 3D), rolled back (40), resources (53), not in the right state, such as closed to connections (55), and
/// operator intervention (57).
fn meaning_of(state: &str) -> Passing {
    match state {
        "40001" | "40P01" | "55P03" => Passing::Locked,
        "57014" => Passing::Cancelled,
        "25006" | "25P03" => Passing::Away,
        _ if ["08", "28", "3D", "40", "53", "55", "57"].iter().any(|class| state.starts_with(class)) => {
            Passing::Away
        }
        _ => Passing::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_are_told_from_those_that_stay() {
        for (meaning, states) in [
            (Passing::Locked, ["40001", "40P01", "55P03"].as_slice()),
            (Passing::Cancelled, &["57014"]),
            (Passing::Away, &["08006", "53300", "57P01", "25006", "25P03", "55006"]),
            (Passing::Not, &["23503", "23505", "42P01", "22021"]),
        ] {
            for state in states {
                assert_eq!(meaning_of(state), meaning, "{state}");
            }
        }
    }
}
