//! Statuses.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{SqliteStore, query, sql};
use crate::{
    domain::{
        AlertStatus, ChangeContext, Idempotent, NewStatus, OrganizationId, Page, PageSize, StatusKey,
        StatusOrigin, StatusPatch,
    },
    store::{
        StatusStore, StoreError,
        failure::Failure,
        shared::{self, rows::status::StatusRow},
    },
};

#[async_trait]
impl StatusStore for SqliteStore {
    async fn create_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        let status = status.into_status(organization, change);
        self.once(organization, change, move |batch| {
            insert(batch.conn, &status)?;
            Ok(status.clone())
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
        let keys = keys.to_vec();
        self.look_up(move |conn| {
            let is_missing = |key: &&StatusKey| {
                let params = params![organization.uuid(), key.as_str()];
                query::value(conn, sql::IS_STATUS_MISSING, params)
            };
            let mut missing = Vec::new();
            for key in &keys {
                if is_missing(&key)? {
                    missing.push(key.clone());
                }
            }
            Ok(missing)
        })
        .await
    }

    async fn update_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        let (key, patch, at) = (key.clone(), patch.clone(), change.at);
        self.once(organization, change, move |batch| {
            let params = params![organization.uuid(), key.as_str()];
            let before = query::optional::<StatusRow>(batch.conn, sql::SELECT_STATUS, params)?;
            let before = before.ok_or(StoreError::NotFound)?;
            let after = before.patched(&patch, at);
            if after != before {
                update(batch.conn, &after)?;
            }
            Ok(after)
        })
        .await
    }

    async fn delete_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        change: &ChangeContext,
    ) -> Result<Idempotent<()>, StoreError> {
        let wanted = key.clone();
        let removed =
            self.once(organization, change, move |batch| delete(batch.conn, organization, &wanted)).await;
        match removed {
            Err(StoreError::InUse(_)) => Err(StoreError::InUse(self.uses(organization, key).await?)),
            other => other,
        }
    }
}

impl SqliteStore {
    /// How many alerts use a status that was in use; counted aside, so that nobody waits for it. At least the one that
    /// was in the way, even if it has moved on since.
    async fn uses(&self, organization: OrganizationId, key: &StatusKey) -> Result<i64, StoreError> {
        let key = key.clone();
        self.read_for(organization, move |conn| {
            let params = params![organization.uuid(), key.as_str()];
            Ok(query::value::<i64>(conn, sql::COUNT_STATUS_USES, params)?.max(1))
        })
        .await
    }
}

/// Writes one status.
pub fn insert(conn: &Connection, status: &AlertStatus) -> Result<(), StoreError> {
    let inserted = query::write(conn, &sql::INSERT_STATUS, &StatusRow::from(status));
    inserted.map_err(|error| Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound))
}

fn update(conn: &Connection, status: &AlertStatus) -> Result<(), StoreError> {
    let params = params![
        status.name.as_str(),
        status.colour.as_str(),
        status.updated_at.timestamp_micros(),
        status.organization_id.uuid(),
        status.key.as_str(),
    ];
    query::execute(conn, shared::sql::UPDATE_STATUS, params)?;
    Ok(())
}

fn delete(conn: &Connection, organization: OrganizationId, key: &StatusKey) -> Result<(), StoreError> {
    let params = || (organization.uuid(), key.as_str());
    // Looked up first: the foreign key would visit every alert in the status to find it in use.
    if query::value(conn, sql::IS_STATUS_USED, params())? {
        return Err(StoreError::InUse(1));
    }
    match query::execute(conn, shared::sql::DELETE_STATUS, params())? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}
