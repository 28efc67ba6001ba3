//! Statuses.

use sqlx::PgExecutor;

use super::{
    PostgresStore,
    connections::Use,
    idempotency_keys::{self, Once},
    lent::Lent,
    sql,
};
use crate::{
    domain::{
        AlertStatus, ChangeContext, Idempotent, NewStatus, OrganizationId, Page, PageSize, StatusKey,
        StatusOrigin, StatusPatch, text::words,
    },
    store::{StoreError, failure::Failure, rows::StatusRow},
};

impl PostgresStore {
    pub(super) async fn insert_status(
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
        let inserted = insert(&mut lent, &status).await;
        inserted.map_err(|failure| failure.meaning(StoreError::Duplicate, StoreError::NotFound))?;
        idempotency_keys::finish(lent, organization, change, status).await
    }

    pub(super) async fn select_statuses(
        &self,
        organization: OrganizationId,
        origin: StatusOrigin,
        after: Option<&StatusKey>,
        size: PageSize,
    ) -> Result<Page<AlertStatus>, StoreError> {
        let select = || {
            sqlx::query_as(sql::SELECT_STATUSES)
                .bind(organization.uuid())
                .bind(after.map_or("", StatusKey::as_str).to_owned())
                .bind(origin == StatusOrigin::Builtin)
                .bind(size.with_next())
        };
        let rows: Vec<StatusRow> = self.connections.all(Use::Lists(organization), select).await?;
        let statuses = rows.into_iter().map(AlertStatus::try_from).collect::<Result<_, _>>()?;
        Ok(Page::from_rows(statuses, size))
    }

    pub(super) async fn select_missing_statuses(
        &self,
        organization: OrganizationId,
        keys: &[StatusKey],
    ) -> Result<Vec<StatusKey>, StoreError> {
        let select =
            || sqlx::query_as(sql::SELECT_MISSING_STATUSES).bind(organization.uuid()).bind(words(keys));
        let missing: Vec<(String,)> = self.connections.all(Use::Lists(organization), select).await?;
        let is_missing = |key: &&StatusKey| missing.iter().any(|(missing,)| missing == key.as_str());
        Ok(keys.iter().filter(is_missing).cloned().collect())
    }

    pub(super) async fn patch_status(
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
        let row: Option<StatusRow> = sqlx::query_as(sql::SELECT_STATUS_FOR_UPDATE)
            .bind(organization.uuid())
            .bind(key.as_str())
            .fetch_optional(&mut lent)
            .await?;
        let before = AlertStatus::try_from(row.ok_or(StoreError::NotFound)?)?;
        let after = before.patched(patch, change.at);
        if after != before {
            write_changes(&mut lent, &after).await?;
        }
        idempotency_keys::finish(lent, organization, change, after).await
    }

    pub(super) async fn remove_status(
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
        let count =
            || sqlx::query_as(sql::COUNT_STATUS_USES).bind(organization.uuid()).bind(key.as_str().to_owned());
        let (now,) = self.connections.optional(Use::Lists(organization), count).await?.unwrap_or((1_i64,));
        Ok(now.max(1))
    }
}

async fn write_changes(lent: &mut Lent, status: &AlertStatus) -> Result<(), StoreError> {
    sqlx::query(sql::UPDATE_STATUS)
        .bind(status.organization_id.uuid())
        .bind(status.key.as_str())
        .bind(status.name.as_str())
        .bind(status.colour.as_str())
        .bind(status.updated_at)
        .execute(lent)
        .await?;
    Ok(())
}

/// Writes one status.
pub async fn insert(executor: impl PgExecutor<'_>, status: &AlertStatus) -> Result<(), Failure> {
    sqlx::query(sql::INSERT_STATUS)
        .bind(status.organization_id.uuid())
        .bind(status.key.as_str())
        .bind(status.name.as_str())
        .bind(status.colour.as_str())
        .bind(status.class.code())
        .bind(status.key.origin() == StatusOrigin::Builtin)
        .bind(status.created_at)
        .bind(status.updated_at)
        .execute(executor)
        .await?;
    Ok(())
}

async fn delete(
    executor: impl PgExecutor<'_>,
    organization: OrganizationId,
    key: &StatusKey,
) -> Result<u64, Failure> {
    let deleted = sqlx::query(sql::DELETE_STATUS)
        .bind(organization.uuid())
        .bind(key.as_str())
        .execute(executor)
        .await?;
    Ok(deleted.rows_affected())
}
