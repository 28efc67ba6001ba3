//! Reading the history.

use rusqlite::params;
use uuid::Uuid;

use super::{SqliteStore, query, rows, sql};
use crate::{
    domain::{Alert, AlertEvent, AnomalyId, ChainHash, Head, HeadSignature, OrganizationId, Page, PageSize},
    store::{StoreError, event_rows::read_head},
};

impl SqliteStore {
    pub(super) async fn select_events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        self.read_for(organization, move |conn| {
            let params = params![organization.uuid(), position, size.with_next()];
            query::page(conn, sql::SELECT_EVENTS, params, size, rows::event)
        })
        .await
    }

    pub(super) async fn select_alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        self.read_for(organization, move |conn| {
            let params = params![organization.uuid(), id.uuid(), sequence, size.with_next()];
            query::page(conn, sql::SELECT_ALERT_EVENTS, params, size, rows::event)
        })
        .await
    }

    pub(super) async fn select_head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
        self.look_up(move |conn| {
            query::optional(conn, sql::SELECT_HEAD, params![organization.uuid()], |row| {
                read_head(organization, row.get(0)?, row.get(1)?)
            })
        })
        .await
    }

    pub(super) async fn select_head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError> {
        self.read_for(organization, move |conn| {
            let params = params![organization.uuid(), position, size.with_next()];
            query::page(conn, sql::SELECT_HEAD_SIGNATURES, params, size, rows::signature)
        })
        .await
    }

    pub(super) async fn select_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(sql::SELECT_FOLLOWING)?;
            let positions = statement.query_map(params![organization.uuid(), hash.0], |row| row.get(0))?;
            Ok(positions.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(super) async fn select_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError> {
        let (organization, id) =
            after.map_or((Uuid::nil(), Uuid::nil()), |(organization, id)| (organization.uuid(), id.uuid()));
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(sql::SELECT_TO_ADOPT)?;
            let ids = statement.query_map(params![organization, id], |row| {
                Ok((OrganizationId::from_uuid(row.get(0)?), AnomalyId::from_uuid(row.get(1)?)))
            })?;
            Ok(ids.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(super) async fn is_to_adopt(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(sql::IS_TO_ADOPT)?;
            Ok(statement.query_row(params![organization.uuid(), id.uuid()], |row| row.get(0))?)
        })
        .await
    }

    pub(super) async fn delete_to_adopt(
        &self,
        adopted: Vec<(OrganizationId, AnomalyId)>,
    ) -> Result<(), StoreError> {
        self.write(move |batch| {
            for (organization, id) in &adopted {
                query::execute(batch.conn, sql::DELETE_TO_ADOPT, params![organization.uuid(), id.uuid()])?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn select_alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError> {
        let after = after.map_or(Uuid::nil(), AnomalyId::uuid);
        self.read(move |conn| {
            let params = params![organization.uuid(), after, size.with_next()];
            query::page(conn, sql::SELECT_ALERTS_AFTER, params, size, rows::alert)
        })
        .await
    }
}
