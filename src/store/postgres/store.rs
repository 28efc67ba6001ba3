//! The store's contract, each method one line that names where it is kept.

use async_trait::async_trait;

use super::PostgresStore;
use crate::{
    domain::{
        Alert, AlertChange, AlertEvent, AlertQuery, AlertStatus, AnomalyId, ApiKey, ChainHash, ChangeContext,
        ChangedAlert, Head, HeadSignature, Idempotent, KeyDigest, KeyId, NewStatus, Organization,
        OrganizationId, Page, PageSize, StatusKey, StatusOrigin, StatusPatch, Timestamp,
    },
    store::{AdoptionLock, Store, StoreError},
};

#[async_trait]
impl Store for PostgresStore {
    async fn change_alert(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError> {
        self.change(change).await
    }

    async fn alert(&self, organization: OrganizationId, id: AnomalyId) -> Result<Option<Alert>, StoreError> {
        self.select_alert(organization, id).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        self.select_page(query).await
    }

    async fn events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        self.select_events(organization, position, size).await
    }

    async fn alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        self.select_alert_events(organization, id, sequence, size).await
    }

    async fn head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
        self.select_head(organization).await
    }

    async fn head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError> {
        self.select_head_signatures(organization, position, size).await
    }

    async fn positions_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError> {
        self.select_following(organization, hash).await
    }

    async fn alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError> {
        self.select_alerts_after(organization, after, size).await
    }

    async fn alerts_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError> {
        self.select_to_adopt(after).await
    }

    async fn waits_for_adoption(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError> {
        self.is_to_adopt(organization, id).await
    }

    async fn note_adopted(&self, adopted: Vec<(OrganizationId, AnomalyId)>) -> Result<(), StoreError> {
        self.delete_to_adopt(adopted).await
    }

    async fn lock_adoption(&self) -> Result<Option<AdoptionLock>, StoreError> {
        self.try_lock_adoption().await
    }

    async fn expire_idempotency_keys(&self, _at: Timestamp) -> Result<u64, StoreError> {
        self.delete_old_idempotency_keys().await
    }

    async fn create_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        self.insert_status(organization, status, change).await
    }

    async fn statuses(
        &self,
        organization: OrganizationId,
        origin: StatusOrigin,
        after: Option<&StatusKey>,
        size: PageSize,
    ) -> Result<Page<AlertStatus>, StoreError> {
        self.select_statuses(organization, origin, after, size).await
    }

    async fn missing_statuses(
        &self,
        organization: OrganizationId,
        keys: &[StatusKey],
    ) -> Result<Vec<StatusKey>, StoreError> {
        self.select_missing_statuses(organization, keys).await
    }

    async fn update_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        self.patch_status(organization, key, patch, change).await
    }

    async fn delete_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        change: &ChangeContext,
    ) -> Result<Idempotent<()>, StoreError> {
        self.remove_status(organization, key, change).await
    }

    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        self.insert_organization(organization).await
    }

    async fn require_disposition(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError> {
        self.update_requirement(organization, required).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        self.select_organizations().await
    }

    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.insert_key(key).await
    }

    async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError> {
        self.select_keys(organization).await
    }

    async fn keys_by_digest(&self, digests: &[KeyDigest]) -> Result<Vec<ApiKey>, StoreError> {
        self.select_keys_by_digest(digests).await
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
        self.update_revoked(id, at).await
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        self.update_last_used(used).await
    }

    async fn bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        self.insert_first_key(organization, key).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.check_ready().await
    }

    async fn close(&self) {
        self.changes.close().await;
        self.lookups.close().await;
        self.connections.close().await;
    }
}
