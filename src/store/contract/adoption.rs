//! Alerts that are older than histories are.

use async_trait::async_trait;

use crate::{
    domain::{AnomalyId, OrganizationId},
    store::StoreError,
};

/// The lock under which one instance begins the histories of older alerts, for as long as this is kept.
pub type AdoptionLock = Box<dyn Send + Sync>;

/// Alerts that are older than histories are.
#[async_trait]
pub trait AdoptionStore: Send + Sync {
    /// Some of the alerts that were made by a version without histories and have none yet, of any organization, after the
    /// one named.
    async fn alerts_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError>;

    /// Returns true where the alert is one of them.
    async fn waits_for_adoption(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError>;

    /// Records that such alerts have histories now.
    async fn record_adopted(&self, adopted: Vec<(OrganizationId, AnomalyId)>) -> Result<(), StoreError>;

    /// The lock of the one instance that begins histories; `None` while another holds it. It ends when it is dropped, and
    /// also when the connection to the database is lost: a history that two instances begin is begun once.
    async fn lock_adoption(&self) -> Result<Option<AdoptionLock>, StoreError>;
}
