//! Keeps idempotency keys.

use async_trait::async_trait;

use crate::{domain::Timestamp, store::StoreError};

/// Keeps idempotency keys.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Deletes idempotency keys that have expired at `at`, some hundreds at a time, so that no writer waits
    /// long; tells how many.
    async fn expire_idempotency_keys(&self, at: Timestamp) -> Result<u64, StoreError>;
}
