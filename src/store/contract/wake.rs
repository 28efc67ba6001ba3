//! Notifications between the instances that share a database.

use async_trait::async_trait;

use crate::{domain::OrganizationId, store::StoreError};

/// Tells other instances that feeds have grown. A notification may be lost, so it only spares waiting for the next look.
#[async_trait]
pub trait WakeStore: Send + Sync {
    /// Receives what other instances, and this one, say from now on.
    async fn listen(&self) -> Result<Box<dyn Notifications>, StoreError>;

    /// Says that the feeds of these organizations have grown.
    async fn notify(&self, organizations: &[OrganizationId]) -> Result<(), StoreError>;
}

/// Notifications as they come.
#[async_trait]
pub trait Notifications: Send {
    /// Waits for the next: the organization whose feed has grown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the connection is lost, and with it perhaps notifications.
    async fn next(&mut self) -> Result<OrganizationId, StoreError>;
}
