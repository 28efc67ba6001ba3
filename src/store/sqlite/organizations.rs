//! Organizations.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{SqliteStore, query, sql, statuses};
use crate::{
    domain::{AlertStatus, Head, Organization, OrganizationId},
    store::{
        OrganizationStore, StoreError,
        failure::Failure,
        shared::{
            queries,
            rows::{event::FeedHeadRow, organization::OrganizationRow},
        },
    },
};

#[async_trait]
impl OrganizationStore for SqliteStore {
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let organization = organization.clone();
        self.write(move |batch| insert(batch.conn, &organization)).await
    }

    async fn require_disposition(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError> {
        queries::require_disposition(self, organization, required).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        queries::organizations(self).await
    }
}

/// Writes an organization with its built-in statuses and the head of its feed.
pub fn insert(conn: &Connection, organization: &Organization) -> Result<(), StoreError> {
    let inserted = query::write(conn, &sql::INSERT_ORGANIZATION, &OrganizationRow::from(organization));
    inserted.map_err(|error| Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound))?;
    query::write(conn, &sql::INSERT_HEAD, &FeedHeadRow::of(organization.id, Head::EMPTY))?;
    for status in AlertStatus::builtin(organization.id, organization.created_at) {
        statuses::insert(conn, &status)?;
    }
    Ok(())
}
