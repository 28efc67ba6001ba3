//! Reading the history.

use sqlx::Connection;
use uuid::Uuid;

use super::{PostgresStore, connections::Use, rows::take_page, sql, unavailable};
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
        let attempt = || async {
            let query = sqlx::query_as::<_, EventRow>(sql::SELECT_EVENTS)
                .bind(organization.uuid())
                .bind(position)
                .bind(size.with_next());
            let mut lent = self.lend_for_lists(organization).await?;
            take_page(query.fetch(lent.connection()?), size).await
        };
        self.connections.patiently(attempt).await
    }

    pub(super) async fn select_alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        let attempt = || async {
            let query = sqlx::query_as::<_, EventRow>(sql::SELECT_ALERT_EVENTS)
                .bind(organization.uuid())
                .bind(id.uuid())
                .bind(sequence)
                .bind(size.with_next());
            let mut lent = self.lend_for_lists(organization).await?;
            take_page(query.fetch(lent.connection()?), size).await
        };
        self.connections.patiently(attempt).await
    }

    pub(super) async fn select_head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
        let query = sqlx::query_as(sql::SELECT_HEAD).bind(organization.uuid());
        let row: Option<(i64, Vec<u8>)> =
            query.fetch_optional(self.lend_for_lists(organization).await?.connection()?).await?;
        row.map(|(position, hash)| read_head(organization, position, hash)).transpose()
    }

    pub(super) async fn select_head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError> {
        let query = sqlx::query_as::<_, SignatureRow>(sql::SELECT_HEAD_SIGNATURES)
            .bind(organization.uuid())
            .bind(position)
            .bind(size.with_next());
        let mut lent = self.lend_for_lists(organization).await?;
        take_page(query.fetch(lent.connection()?), size).await
    }

    pub(super) async fn select_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError> {
        let query = sqlx::query_scalar(sql::SELECT_FOLLOWING).bind(organization.uuid());
        let mut lent = self.lend_for_lists(organization).await?;
        Ok(query.bind(hash.0.as_slice()).fetch_all(lent.connection()?).await?)
    }

    pub(super) async fn select_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError> {
        let (organization, id) =
            after.map_or((Uuid::nil(), Uuid::nil()), |(organization, id)| (organization.uuid(), id.uuid()));
        let query = sqlx::query_as(sql::SELECT_TO_ADOPT).bind(organization).bind(id);
        let mut lent = self.connections.lend(Use::Background).await?;
        let rows: Vec<(Uuid, Uuid)> = query.fetch_all(lent.connection()?).await?;
        let ids = |(organization, id)| (OrganizationId::from_uuid(organization), AnomalyId::from_uuid(id));
        Ok(rows.into_iter().map(ids).collect())
    }

    pub(super) async fn is_to_adopt(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(sql::IS_TO_ADOPT).bind(organization.uuid()).bind(id.uuid());
        let mut lent = self.connections.lend(Use::Background).await?;
        Ok(query.fetch_one(lent.connection()?).await?)
    }

    pub(super) async fn delete_to_adopt(
        &self,
        adopted: Vec<(OrganizationId, AnomalyId)>,
    ) -> Result<(), StoreError> {
        let (organizations, ids): (Vec<_>, Vec<_>) =
            adopted.into_iter().map(|(organization, id)| (organization.uuid(), id.uuid())).unzip();
        let query = sqlx::query(sql::DELETE_TO_ADOPT).bind(organizations).bind(ids);
        let mut lent = self.connections.lend(Use::Background).await?;
        query.execute(lent.connection()?).await?;
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
        let query = sqlx::query_as::<_, AlertRow>(sql::SELECT_ALERTS_AFTER)
            .bind(organization.uuid())
            .bind(after.map_or(Uuid::nil(), AnomalyId::uuid))
            .bind(size.with_next());
        let mut lent = self.lend_for_lists(organization).await?;
        take_page(query.fetch(lent.connection()?), size).await
    }
}
