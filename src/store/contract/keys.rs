//! Keeps API keys.

use async_trait::async_trait;

use crate::{
    domain::{ApiKey, KeyDigest, KeyId, Organization, OrganizationId, Timestamp},
    store::StoreError,
};

/// Keeps API keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Adds an API key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such organization; [`StoreError::Duplicate`] when there is a key with
    /// that digest.
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// Reads the keys of an organization, or of all, revoked and expired ones included, oldest first.
    async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError>;

    /// Reads the keys with these digests, of whichever organizations, in no order.
    async fn keys_by_digest(&self, digests: &[KeyDigest]) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key; one that is revoked already keeps its time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such key.
    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError>;

    /// Notes when keys were last used, each unless that was noted within the minute before. Never waits for somebody who
    /// holds a key's row: that key is left out.
    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError>;

    /// Makes the first key, and the organization named in `organization` unless there is one of that name, unless there
    /// is any key. Of several callers at once exactly one makes it. Answers the key as it was made, under the
    /// organization it belongs to, or `None` when there was one.
    async fn bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError>;
}
