//! Changes and reads alerts.

use async_trait::async_trait;

use crate::{
    domain::{
        Alert, AlertChange, AlertQuery, AnomalyId, ChangedAlert, Idempotent, OrganizationId, Page, PageSize,
    },
    store::StoreError,
};

/// Changes and reads alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Changes one alert, or makes it, as [`crate::domain::decide()`] decides from what stands in the transaction: two
    /// changes at once both take effect where they touch different fields. What changes is written together with its
    /// event, whose position and hash follow the organization's head, and with the answer under its idempotency key.
    /// All changes of an organization happen one after the other, in the order of their positions.
    ///
    /// A repeat under an idempotency key that has not expired changes nothing and replays the first answer; repeats
    /// at the same moment wait for it.
    ///
    /// # Errors
    /// [`StoreError::Refused`]; [`StoreError::UnknownStatus`] also when the status is deleted meanwhile;
    /// [`StoreError::KeyReused`] when the idempotency key names another change. Nothing is recorded of a
    /// change that failed.
    async fn change_alert(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError>;

    /// Reads an alert, or `None` when the organization has no such alert.
    async fn alert(&self, organization: OrganizationId, id: AnomalyId) -> Result<Option<Alert>, StoreError>;

    /// Reads one page of alerts, ordered by `created_at` and then by id, which never change: an alert that stood when
    /// the first page was read, and matches all along, is on exactly one page. A page ends early where it would weigh
    /// more than [`crate::domain::page::MAX_PAGE_WEIGHT`]. The total is counted at about the same moment.
    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError>;

    /// Reads alerts in the order of their ids, after the id `after`: for passing over all of them.
    async fn alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError>;
}
