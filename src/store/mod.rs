//! The databases behind the service, and what they promise.

mod commits;
pub mod connect;
mod contract;
mod error;
mod failure;
mod fair;
mod options;
pub mod postgres;
pub mod queue;
pub mod schema;
mod shared;
pub mod sqlite;

pub use commits::{CommitSink, Commits};
pub use contract::{
    AdoptionLock, AdoptionStore, AlertStore, FeedStore, IdempotencyStore, KeyStore, Notifications,
    OrganizationStore, StatusStore, Store, WakeStore,
};
pub use error::{Inconsistent, StoreError};

/// The life of an idempotency key: a repeat within this time gets the first answer.
pub const IDEMPOTENCY_TTL: chrono::TimeDelta = chrono::TimeDelta::hours(24);
