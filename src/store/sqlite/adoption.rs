//! Alerts that are older than histories are.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, query, sql};
use crate::{
    domain::{AnomalyId, OrganizationId},
    store::{AdoptionLock, AdoptionStore, StoreError, shared::queries},
};

#[async_trait]
impl AdoptionStore for SqliteStore {
    async fn alerts_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError> {
        queries::alerts_to_adopt(self, after).await
    }

    async fn waits_for_adoption(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError> {
        queries::waits_for_adoption(self, organization, id).await
    }

    async fn record_adopted(&self, adopted: Vec<(OrganizationId, AnomalyId)>) -> Result<(), StoreError> {
        self.write(move |batch| {
            for (organization, id) in &adopted {
                query::execute(batch.conn, sql::DELETE_TO_ADOPT, params![organization.uuid(), id.uuid()])?;
            }
            Ok(())
        })
        .await
    }

    async fn lock_adoption(&self) -> Result<Option<AdoptionLock>, StoreError> {
        // One process writes to the file.
        Ok(Some(Box::new(())))
    }
}
