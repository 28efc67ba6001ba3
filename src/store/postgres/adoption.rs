//! Alerts that are older than histories are.

use async_trait::async_trait;
use sqlx::Connection;

use super::{PostgresStore, connections::Use, sql, unavailable};
use crate::{
    domain::{AnomalyId, OrganizationId},
    store::{AdoptionLock, AdoptionStore, StoreError, shared::queries},
};

#[async_trait]
impl AdoptionStore for PostgresStore {
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
        let (organizations, ids): (Vec<_>, Vec<_>) =
            adopted.into_iter().map(|(organization, id)| (organization.uuid(), id.uuid())).unzip();
        let query = sqlx::query(sql::DELETE_TO_ADOPT).bind(organizations).bind(ids);
        query.execute(&mut self.connections.lend(Use::Background).await?).await?;
        Ok(())
    }

    /// Takes the lock on a connection of its own, which holds it.
    async fn lock_adoption(&self) -> Result<Option<AdoptionLock>, StoreError> {
        let mut connection = self.servers.connect().await.map_err(|error| unavailable(&error))?;
        let is_locked: bool = sqlx::query_scalar(sql::LOCK_ADOPTION).fetch_one(&mut connection).await?;
        if is_locked {
            return Ok(Some(Box::new(connection)));
        }
        connection.close().await?;
        Ok(None)
    }
}
