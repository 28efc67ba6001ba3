//! Reading the history.

use sqlx::Connection;
use uuid::Uuid;

use super::{PostgresStore, connections::Use, sql, unavailable};
use crate::{
    domain::{Alert, AlertEvent, AnomalyId, ChainHash, Head, HeadSignature, OrganizationId, Page, PageSize},
    store::{
        AdoptionLock, StoreError,
        event_rows::{EventRow, read_head},
        rows::AlertRow,
        signature_rows::SignatureRow,
    },
};

impl PostgresStore {
    pub(super) async fn select_events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        let select = || {
            sqlx::query_as::<_, EventRow>(sql::SELECT_EVENTS)
                .bind(organization.uuid())
                .bind(position)
                .bind(size.with_next())
        };
        self.connections.page(Use::Lists(organization), size, select).await
    }

    pub(super) async fn select_alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        let select = || {
            sqlx::query_as::<_, EventRow>(sql::SELECT_ALERT_EVENTS)
                .bind(organization.uuid())
                .bind(id.uuid())
                .bind(sequence)
                .bind(size.with_next())
        };
        self.connections.page(Use::Lists(organization), size, select).await
    }

    pub(super) async fn select_head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
        let select = || sqlx::query_as(sql::SELECT_HEAD).bind(organization.uuid());
        let row = self.connections.optional(Use::Lists(organization), select).await?;
        row.map(|(position, hash): (i64, Vec<u8>)| read_head(organization, position, hash)).transpose()
    }

    pub(super) async fn select_head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError> {
        let select = || {
            sqlx::query_as::<_, SignatureRow>(sql::SELECT_HEAD_SIGNATURES)
                .bind(organization.uuid())
                .bind(position)
                .bind(size.with_next())
        };
        self.connections.page(Use::Lists(organization), size, select).await
    }

    pub(super) async fn select_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError> {
        let select = || sqlx::query_as(sql::SELECT_FOLLOWING).bind(organization.uuid()).bind(hash.0.to_vec());
        let rows = self.connections.all(Use::Lists(organization), select).await?;
        Ok(rows.into_iter().map(|(position,)| position).collect())
    }

    pub(super) async fn select_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError> {
        let (organization, id) =
            after.map_or((Uuid::nil(), Uuid::nil()), |(organization, id)| (organization.uuid(), id.uuid()));
        let select = || sqlx::query_as(sql::SELECT_TO_ADOPT).bind(organization).bind(id);
        let rows = self.connections.all(Use::Background, select).await?;
        let ids = |(organization, id)| (OrganizationId::from_uuid(organization), AnomalyId::from_uuid(id));
        Ok(rows.into_iter().map(ids).collect())
    }

    pub(super) async fn is_to_adopt(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError> {
        let select = || sqlx::query_as(sql::IS_TO_ADOPT).bind(organization.uuid()).bind(id.uuid());
        Ok(self
            .connections
            .optional(Use::Background, select)
            .await?
            .is_some_and(|(is_to_adopt,)| is_to_adopt))
    }

    pub(super) async fn delete_to_adopt(
        &self,
        adopted: Vec<(OrganizationId, AnomalyId)>,
    ) -> Result<(), StoreError> {
        let (organizations, ids): (Vec<_>, Vec<_>) =
            adopted.into_iter().map(|(organization, id)| (organization.uuid(), id.uuid())).unzip();
        let query = sqlx::query(sql::DELETE_TO_ADOPT).bind(organizations).bind(ids);
        query.execute(&mut self.connections.lend(Use::Background).await?).await?;
        Ok(())
    }

    /// Takes the lock on a connection of its own, which holds it.
    pub(super) async fn try_lock_adoption(&self) -> Result<Option<AdoptionLock>, StoreError> {
        let mut connection = self.servers.connect().await.map_err(|error| unavailable(&error))?;
        let is_locked: bool = sqlx::query_scalar(sql::LOCK_ADOPTION).fetch_one(&mut connection).await?;
        if is_locked {
            return Ok(Some(Box::new(connection)));
        }
        connection.close().await?;
        Ok(None)
    }

    pub(super) async fn select_alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError> {
        let after = after.map_or(Uuid::nil(), AnomalyId::uuid);
        let select = || {
            sqlx::query_as::<_, AlertRow>(sql::SELECT_ALERTS_AFTER)
                .bind(organization.uuid())
                .bind(after)
                .bind(size.with_next())
        };
        self.connections.page(Use::Lists(organization), size, select).await
    }
}
