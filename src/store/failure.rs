//! The one funnel for what drivers report.

use rusqlite::ffi;
use sqlx::error::{DatabaseError, ErrorKind};

use super::{
    StoreError,
    sqlite::codes::{self, Damaged, Meaning},
};

/// What a statement failed with: a constraint, which means something where it was run, or anything else.
pub enum Failure {
    /// Something with that key is there already.
    Unique,
    /// What it refers to is not there, or it is still referred to.
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
        if is_locked(&error) {
            Self::Locked(Box::new(error))
        } else if is_passing(&error) {
            Self::Unavailable(Box::new(error))
        } else {
            Self::Internal(Box::new(error))
        }
    }
}

/// Returns true for an error caused by other transactions, not by the connection or the server.
fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| is_locked_state(&code))
}

/// SQLSTATEs of PostgreSQL that tell of others who are at work on the same rows: a serialization failure, a deadlock, a lock that
/// was not to be had in time, and a statement whose time was up.
fn is_locked_state(state: &str) -> bool {
    matches!(state, "40001" | "40P01" | "55P03" | "57014")
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

/// Whether the same call may well succeed a moment later.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        // What arrived made no sense, so what was asked may or may not have happened.
        sqlx::Error::Protocol(_)
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_state(&code)),
        _ => false,
    }
}

/// SQLSTATE classes of PostgreSQL that pass: connection (08), login (28, 3D), rolled back (40), resources (53), not in the right
/// state, such as closed to connections (55), operator intervention (57); read-only (25006), as after a failover; and silent for too long in a transaction (25P03).
fn is_passing_state(state: &str) -> bool {
    matches!(state, "25006" | "25P03")
        || ["08", "28", "3D", "40", "53", "55", "57"].iter().any(|class| state.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_are_told_from_those_that_stay() {
        for state in ["08006", "53300", "57P01", "25006", "25P03"] {
            assert!(is_passing_state(state), "{state}");
        }
        for state in ["40001", "40P01", "55P03", "57014"] {
            assert!(is_locked_state(state), "{state}");
        }
        for state in ["57P01", "25006", "55006", "23505"] {
            assert!(!is_locked_state(state), "{state}");
        }
        for state in ["23503", "42P01", "22021"] {
            assert!(!is_passing_state(state), "{state}");
        }
    }
}
