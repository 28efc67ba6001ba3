//! The interface to a database, and the promises that every backend keeps: a trait for each kind of thing that is kept.

mod adoption;
mod alerts;
mod feed;
mod idempotency;
mod keys;
mod organizations;
mod statuses;
mod wake;

use async_trait::async_trait;

pub use self::{
    adoption::{AdoptionLock, AdoptionStore},
    alerts::AlertStore,
    feed::FeedStore,
    idempotency::IdempotencyStore,
    keys::KeyStore,
    organizations::OrganizationStore,
    statuses::StatusStore,
    wake::{Notifications, WakeStore},
};
use super::StoreError;

/// A database behind the service.
///
/// Every method is one business transaction: it happens whole or not at all, and its answer is given after it is
/// durable. Every method is bounded by the organization it is given, and what belongs to another organization is
/// treated exactly as what does not exist. A future that is dropped before it is done leaves the transaction undone or
/// done, never half done.
///
/// Changes that arrive while a commit is on its way share the next one ([`crate::store::queue`]). One that fails fails alone.
///
/// Beside the errors named at each method, every method can fail with [`StoreError::Unavailable`] (the database does not
/// answer, trying again may help), [`StoreError::Busy`] (too many calls wait) and [`StoreError::Internal`] (anything else; a
/// bug or a damaged database).
#[async_trait]
pub trait Store:
    AlertStore
    + FeedStore
    + StatusStore
    + OrganizationStore
    + KeyStore
    + IdempotencyStore
    + AdoptionStore
    + WakeStore
    + Send
    + Sync
    + 'static
{
    /// Passes where the database answers and has the schema that this version knows.
    async fn check(&self) -> Result<(), StoreError>;

    /// Waits for what is being written, then closes all connections.
    async fn close(&self);
}
