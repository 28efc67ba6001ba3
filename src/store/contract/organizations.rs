//! Keeps organizations.

use async_trait::async_trait;

use crate::{
    domain::{Organization, OrganizationId},
    store::StoreError,
};

/// Keeps organizations.
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// Adds an organization with its built-in statuses.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when there is an organization of that name.
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// Sets what an organization demands before closing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn require_disposition(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError>;

    /// Reads all organizations, oldest first.
    async fn organizations(&self) -> Result<Vec<Organization>, StoreError>;
}
