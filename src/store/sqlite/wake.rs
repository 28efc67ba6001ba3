//! One process writes to a file: there is nobody else to notify.

use async_trait::async_trait;

use super::SqliteStore;
use crate::{
    domain::OrganizationId,
    store::{Notifications, StoreError, WakeStore},
};

#[async_trait]
impl WakeStore for SqliteStore {
    async fn listen(&self) -> Result<Box<dyn Notifications>, StoreError> {
        Ok(Box::new(Never))
    }

    async fn notify(&self, _organizations: &[OrganizationId]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Notifications that never come.
struct Never;

#[async_trait]
impl Notifications for Never {
    async fn next(&mut self) -> Result<OrganizationId, StoreError> {
        std::future::pending().await
    }
}
