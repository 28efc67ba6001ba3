//! Changing and reading alerts.

use std::sync::Arc;

use async_trait::async_trait;

use super::{PostgresStore, lanes};
use crate::{
    domain::{
        Alert, AlertChange, AlertQuery, AnomalyId, ChangedAlert, EstimatedSize, Idempotent, OrganizationId,
        Page, PageSize,
    },
    store::{AlertStore, StoreError, queue::Load, shared::queries},
};

#[async_trait]
impl AlertStore for PostgresStore {
    async fn change_alert(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError> {
        let load = Load { organization: change.organization_id, bytes: change.estimated_size() };
        lanes::ask(&self.changes, load, Arc::new(change.clone())).await
    }

    async fn alert(&self, organization: OrganizationId, id: AnomalyId) -> Result<Option<Alert>, StoreError> {
        lanes::ask(&self.lookups, Load { organization, bytes: 0 }, (organization, id)).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        self.select_page(query).await
    }

    async fn alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError> {
        queries::alerts_after(self, organization, after, size).await
    }
}
