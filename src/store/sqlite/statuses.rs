//! Statuses.

use rusqlite::{Connection, params};

use super::{SqliteStore, query, rows, sql};
use crate::{
    domain::{
        AlertStatus, ChangeContext, Idempotent, NewStatus, OrganizationId, Page, PageSize, StatusKey,
        StatusOrigin, StatusPatch,
    },
    store::{StoreError, failure::Failure},
};

impl SqliteStore {
    pub(super) async fn insert_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        let status = status.into_status(organization, change);
        self.once(organization, change, move |batch| {
            let inserted = insert(batch.conn, &status);
            inserted.map_err(|failure| failure.meaning(StoreError::Duplicate, StoreError::NotFound))?;
            Ok(status.clone())
        })
        .await
    }

    pub(super) async fn select_statuses(
        &self,
        organization: OrganizationId,
        origin: StatusOrigin,
        after: Option<&StatusKey>,
        size: PageSize,
    ) -> Result<Page<AlertStatus>, StoreError> {
        let after = after.map_or("", StatusKey::as_str).to_owned();
        self.read_for(organization, move |conn| {
            let is_builtin = origin == StatusOrigin::Builtin;
            let params = params![organization.uuid(), after, is_builtin, size.with_next()];
            let statuses = query::all(conn, sql::SELECT_STATUSES, params, rows::status)?;
            Ok(Page::from_rows(statuses, size))
        })
        .await
    }

    pub(super) async fn select_missing_statuses(
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

    pub(super) async fn patch_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError> {
        let (key, patch, at) = (key.clone(), patch.clone(), change.at);
        self.once(organization, change, move |batch| {
            let params = params![organization.uuid(), key.as_str()];
            let row = query::optional(batch.conn, sql::SELECT_STATUS, params, rows::status)?;
            let before = AlertStatus::try_from(row.ok_or(StoreError::NotFound)?)?;
            let after = before.patched(&patch, at);
            if after != before {
                update(batch.conn, &after)?;
            }
            Ok(after)
        })
        .await
    }

    pub(super) async fn remove_status(
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
pub fn insert(conn: &Connection, status: &AlertStatus) -> Result<(), Failure> {
    let params = params![
        status.organization_id.uuid(),
        status.key.as_str(),
        status.name.as_str(),
        status.colour.as_str(),
        status.class.code(),
        status.key.origin() == StatusOrigin::Builtin,
        status.created_at.timestamp_micros(),
        status.updated_at.timestamp_micros(),
    ];
    query::execute(conn, sql::INSERT_STATUS, params)?;
    Ok(())
}

fn update(conn: &Connection, status: &AlertStatus) -> Result<(), StoreError> {
    let params = params![
        status.name.as_str(),
        status.colour.as_str(),
        status.updated_at.timestamp_micros(),
        status.organization_id.uuid(),
        status.key.as_str(),
    ];
    query::execute(conn, sql::UPDATE_STATUS, params)?;
    Ok(())
}

fn delete(conn: &Connection, organization: OrganizationId, key: &StatusKey) -> Result<(), StoreError> {
    let params = || (organization.uuid(), key.as_str());
    // Looked up first: the foreign key would visit every alert in the status to find it in use.
    if query::value(conn, sql::IS_STATUS_USED, params())? {
        return Err(StoreError::InUse(1));
    }
    match query::execute(conn, sql::DELETE_STATUS, params())? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}
