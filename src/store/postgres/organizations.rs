//! Organizations.

use async_trait::async_trait;

use super::{PostgresStore, connections::Use, lent::Lent, rows::arguments, sql, statuses};
use crate::{
    domain::{AlertStatus, Head, Organization, OrganizationId},
    store::{
        OrganizationStore, StoreError,
        failure::Failure,
        shared::{
            queries,
            row::Table,
            rows::{event::FeedHeadRow, organization::OrganizationRow},
        },
    },
};

#[async_trait]
impl OrganizationStore for PostgresStore {
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let create = |_| async {
            let mut lent = self.connections.begin(Use::Background).await?;
            insert(&mut lent, &sql::INSERT_ORGANIZATION, organization).await?;
            Ok(lent.commit().await?)
        };
        self.connections.patiently(Use::Background, create).await
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

/// Writes an organization by one of the statements that do, with its built-in statuses and the head of its feed, unless the
/// statement passes over one that is there.
pub async fn insert(
    lent: &mut Lent,
    statement: &'static str,
    organization: &Organization,
) -> Result<(), StoreError> {
    let row = OrganizationRow::from(organization);
    let inserted = sqlx::query_with(statement, arguments(row.values())?).execute(&mut *lent).await;
    let inserted = inserted
        .map_err(|error| Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound))?;
    if inserted.rows_affected() == 0 {
        return Ok(());
    }
    let head = FeedHeadRow::of(organization.id, Head::EMPTY);
    sqlx::query_with(sql::INSERT_HEAD.as_str(), arguments(head.values())?).execute(&mut *lent).await?;
    for status in AlertStatus::builtin(organization.id, organization.created_at) {
        statuses::insert(lent, &status).await?;
    }
    Ok(())
}
