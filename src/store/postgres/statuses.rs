//! Statuses.

use async_trait::async_trait;
use sqlx::PgExecutor;

use super::{
    PostgresStore,
    connections::Use,
    idempotency_keys::{self, Once},
    lent::Lent,
    rows::{Decoded, arguments},
    sql,
};
use crate::{
    domain::{
        AlertStatus, ChangeContext, Idempotent, NewStatus, OrganizationId, Page, PageSize, StatusKey,
        StatusOrigin, StatusPatch, text::words,
    },
    store::{
        StatusStore, StoreError,
        failure::Failure,
        shared::{self, row::Table, rows::status::StatusRow},
    },
};

#[async_trait]
impl StatusStore for PostgresStore {
    async fn create_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        self.connections
            .patiently(Use::Locks(organization), |what| {
                self.try_insert(what, organization, status.clone(), change)
            })
            .await
    }

    async fn statuses(
        &self,
        organization: OrganizationId,
        origin: StatusOrigin,
        after: Option<&StatusKey>,
        size: PageSize,
    ) -> Result<Page<AlertStatus>, StoreError> {
        shared::queries::statuses(self, organization, origin, after, size).await
    }

    async fn missing_statuses(
        &self,
        organization: OrganizationId,
        keys: &[StatusKey],
    ) -> Result<Vec<StatusKey>, StoreError> {
        let select =
            || Ok(sqlx::query_as(sql::SELECT_MISSING_STATUSES).bind(organization.uuid()).bind(words(keys)));
        let missing: Vec<(String,)> = self.connections.all(Use::Lists(organization), select).await?;
        let is_missing = |key: &&StatusKey| missing.iter().any(|(missing,)| missing == key.as_str());
        Ok(keys.iter().filter(is_missing).cloned().collect())
    }

    async fn update_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        self.connections
            .patiently(Use::Locks(organization), |what| {
                self.try_patch(what, organization, key, patch, change)
            })
            .await
    }

    async fn delete_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        change: &ChangeContext,
    ) -> Result<Idempotent<()>, StoreError> {
        match self
            .connections
            .patiently(Use::Locks(organization), |what| self.try_remove(what, organization, key, change))
            .await?
        {
            Some(answer) => Ok(answer),
            None => Err(StoreError::InUse(self.uses(organization, key).await?)),
        }
    }
}

impl PostgresStore {
    async fn try_insert(
        &self,
        what: Use,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        let mut lent = match self.once(what, organization, change).await? {
            Once::Now(lent) => lent,
            Once::Before(answer) => return Ok(answer),
        };
        let status = status.into_status(organization, change);
        insert(&mut lent, &status).await?;
        idempotency_keys::finish(lent, organization, change, status).await
    }

    async fn try_patch(
        &self,
        what: Use,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        let mut lent = match self.once(what, organization, change).await? {
            Once::Now(lent) => lent,
            Once::Before(answer) => return Ok(answer),
        };
        let row: Option<Decoded<StatusRow>> = sqlx::query_as(sql::SELECT_STATUS_FOR_UPDATE)
            .bind(organization.uuid())
            .bind(key.as_str())
            .fetch_optional(&mut lent)
            .await?;
        let Decoded(before) = row.ok_or(StoreError::NotFound)?;
        let before = AlertStatus::try_from(before)?;
        let after = before.patched(patch, change.at);
        if after != before {
            write_changes(&mut lent, &after).await?;
        }
        idempotency_keys::finish(lent, organization, change, after).await
    }

    /// Deletes it; `None` where alerts use it.
    async fn try_remove(
        &self,
        what: Use,
        organization: OrganizationId,
        key: &StatusKey,
        change: &ChangeContext,
    ) -> Result<Option<Idempotent<()>>, StoreError> {
        let mut lent = match self.once(what, organization, change).await? {
            Once::Now(lent) => lent,
            Once::Before(answer) => return Ok(Some(answer)),
        };
        match delete(&mut lent, organization, key).await {
            Ok(0) => Err(StoreError::NotFound),
            Ok(_) => idempotency_keys::finish(lent, organization, change, ()).await.map(Some),
            Err(Failure::ForeignKey) => {
                // A transaction that has failed answers nothing more: who uses the status is read after it.
                Ok(None)
            }
            Err(failure) => Err(failure.meaning(StoreError::Duplicate, StoreError::NotFound)),
        }
    }

    /// How many alerts use a status that could not be deleted: at least the one that was in the way, even if it has
    /// moved on since.
    async fn uses(&self, organization: OrganizationId, key: &StatusKey) -> Result<i64, StoreError> {
        let count = || {
            Ok(sqlx::query_as(sql::COUNT_STATUS_USES).bind(organization.uuid()).bind(key.as_str().to_owned()))
        };
        let (now,) = self.connections.optional(Use::Lists(organization), count).await?.unwrap_or((1_i64,));
        Ok(now.max(1))
    }
}

async fn write_changes(lent: &mut Lent, status: &AlertStatus) -> Result<(), StoreError> {
    sqlx::query(shared::sql::UPDATE_STATUS)
        .bind(status.name.as_str())
        .bind(status.colour.as_str())
        .bind(status.updated_at)
        .bind(status.organization_id.uuid())
        .bind(status.key.as_str())
        .execute(lent)
        .await?;
    Ok(())
}

/// Writes one status.
pub async fn insert(lent: &mut Lent, status: &AlertStatus) -> Result<(), StoreError> {
    let arguments = arguments(StatusRow::from(status).values())?;
    match sqlx::query_with(sql::INSERT_STATUS.as_str(), arguments).execute(lent).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound)),
    }
}

async fn delete(
    executor: impl PgExecutor<'_>,
    organization: OrganizationId,
    key: &StatusKey,
) -> Result<u64, Failure> {
    let deleted = sqlx::query(shared::sql::DELETE_STATUS)
        .bind(organization.uuid())
        .bind(key.as_str())
        .execute(executor)
        .await?;
    Ok(deleted.rows_affected())
}
