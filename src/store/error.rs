//! The failures of a store.

use std::sync::Arc;

use crate::domain::{AlertChange, Refusal, StatusKey};

/// The failure of a method of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object of the call does not exist in that organization.
    #[error("not found")]
    NotFound,
    /// The organization has no status with that key.
    #[error("no status {0}")]
    UnknownStatus(StatusKey),
    /// Something with that key or name exists already.
    #[error("exists already")]
    Duplicate,
    /// So many alerts use the status.
    #[error("{0} alert(s) use the status")]
    InUse(i64),
    /// The change is refused for the stored state.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The idempotency key names another change.
    #[error("the idempotency key names another change")]
    KeyReused,
    /// A stored row makes no sense.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// Too many changes wait for the next commit.
    #[error("too many changes are waiting")]
    Busy,
    /// Somebody else is at work on the same rows; a moment later the same may well succeed.
    #[error("the database is locked")]
    Locked(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database has given a statement up that took all of its time, or that an administrator has cancelled.
    #[error("the database has cancelled the statement")]
    Cancelled(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database does not answer.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error("unexpected database error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The failure of a change in an organization that does not exist: it has no status and no alert.
    pub(super) fn no_organization(change: &AlertChange) -> Self {
        change.status().map_or(Self::NotFound, |status| Self::UnknownStatus(status.clone()))
    }

    /// The failure for each of `count` calls that it befell together.
    pub(super) fn for_each<T>(self, count: usize) -> Vec<Result<T, Self>> {
        if count == 1 {
            return vec![Err(self)];
        }
        let error = Arc::new(self);
        (0..count).map(|_| Err(Self::shared(&error))).collect()
    }

    pub(super) fn shared(error: &Arc<Self>) -> Self {
        match **error {
            Self::Unavailable(_) => Self::Unavailable(Arc::clone(error).into()),
            Self::Locked(_) => Self::Locked(Arc::clone(error).into()),
            Self::Cancelled(_) => Self::Cancelled(Arc::clone(error).into()),
            Self::Busy => Self::Busy,
            _ => Self::Internal(Arc::clone(error).into()),
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::UnknownStatus(key) => Self::UnknownStatus(key),
            other => Self::Refused(other),
        }
    }
}

/// A stored row that makes no sense: somebody else wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("inconsistent row: {table}.{column} of {row}: {problem}")]
pub struct Inconsistent {
    /// The table it stands in.
    pub table: &'static str,
    /// The column at fault.
    pub column: &'static str,
    /// The row, by its id.
    pub row: String,
    /// The problem.
    pub problem: String,
}
