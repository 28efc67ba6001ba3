//! Keeps the statuses of organizations.

use async_trait::async_trait;

use crate::{
    domain::{
        AlertStatus, ChangeContext, Idempotent, NewStatus, OrganizationId, Page, PageSize, StatusKey,
        StatusOrigin, StatusPatch,
    },
    store::StoreError,
};

/// Keeps the statuses of organizations.
#[async_trait]
pub trait StatusStore: Send + Sync {
    /// Adds a status.
    ///
    /// Of this and the other changes of statuses, repeats of an intended change are treated as
    /// [`super::AlertStore::change_alert`] treats them.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the organization has a status with that key, built-in or not.
    async fn create_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError>;

    /// Reads one page of the organization's statuses of one origin, in the byte order of their keys, after the key
    /// `after`.
    async fn statuses(
        &self,
        organization: OrganizationId,
        origin: StatusOrigin,
        after: Option<&StatusKey>,
        size: PageSize,
    ) -> Result<Page<AlertStatus>, StoreError>;

    /// Those of `keys` that the organization has no status for, in the order given.
    async fn missing_statuses(
        &self,
        organization: OrganizationId,
        keys: &[StatusKey],
    ) -> Result<Vec<StatusKey>, StoreError>;

    /// Changes the name or the colour of a status. Writes only when something changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn update_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError>;

    /// Deletes a status that no alert uses.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InUse`] with the number of alerts that use it. Whatever moves to the
    /// status at the same moment either makes this fail or fails itself.
    async fn delete_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        change: &ChangeContext,
    ) -> Result<Idempotent<()>, StoreError>;
}
