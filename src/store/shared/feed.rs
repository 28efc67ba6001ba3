//! Reading the feed, the same on both databases.

use async_trait::async_trait;

use super::{
    database::{
        Database,
        Purpose::{List, LookUp},
        Statement,
    },
    rows::{
        event::{EventRow, FeedHeadRow, PositionRow},
        signature::SignatureRow,
    },
    sql,
    value::values,
};
use crate::{
    domain::{AlertEvent, AnomalyId, ChainHash, Head, HeadSignature, OrganizationId, Page, PageSize},
    store::{FeedStore, StoreError},
};

#[async_trait]
impl<D: Database> FeedStore for D {
    async fn events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        let values = values![organization.uuid(), position, size.with_next()];
        let statement = Statement { sql: sql::SELECT_EVENTS, values };
        self.page::<EventRow>(List(organization), size, statement).await
    }

    async fn alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        let values = values![organization.uuid(), id.uuid(), sequence, size.with_next()];
        let statement = Statement { sql: sql::SELECT_ALERT_EVENTS, values };
        self.page::<EventRow>(List(organization), size, statement).await
    }

    async fn head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
        let statement = Statement { sql: sql::SELECT_HEAD, values: values![organization.uuid()] };
        self.optional::<FeedHeadRow>(LookUp(organization), statement).await
    }

    async fn head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError> {
        let values = values![organization.uuid(), position, size.with_next()];
        let statement = Statement { sql: sql::SELECT_HEAD_SIGNATURES, values };
        self.page::<SignatureRow>(List(organization), size, statement).await
    }

    async fn positions_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError> {
        let statement =
            Statement { sql: sql::SELECT_FOLLOWING, values: values![organization.uuid(), hash.0] };
        self.all::<PositionRow>(List(organization), statement).await
    }
}
