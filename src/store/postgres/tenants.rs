//! Organizations and their keys.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::{PostgresStore, connections::Use, lent::Lent, sql, statuses};
use crate::{
    domain::{AlertStatus, ApiKey, Head, KeyDigest, KeyId, Organization, OrganizationId, Timestamp},
    store::{
        StoreError,
        failure::Failure,
        rows::{KeyRow, OrganizationRow},
    },
};

impl PostgresStore {
    pub(super) async fn insert_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        self.connections.patiently(Use::Background, |_| self.try_insert_organization(organization)).await
    }

    async fn try_insert_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let mut lent = self.connections.begin(Use::Background).await?;
        insert_organization(&mut lent, sql::INSERT_ORGANIZATION, organization).await.map_err(meaning)?;
        insert_builtin(&mut lent, organization).await.map_err(meaning)?;
        Ok(lent.commit().await?)
    }

    pub(super) async fn select_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let select = || sqlx::query_as(sql::SELECT_ORGANIZATIONS);
        let rows: Vec<OrganizationRow> = self.connections.all(Use::Background, select).await?;
        Ok(rows.into_iter().map(Organization::try_from).collect::<Result<_, _>>()?)
    }

    pub(super) async fn update_requirement(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError> {
        let update = || sqlx::query_as(sql::REQUIRE_DISPOSITION).bind(organization.uuid()).bind(required);
        let row: Option<OrganizationRow> =
            self.connections.optional(Use::Locks(organization), update).await?;
        Ok(Organization::try_from(row.ok_or(StoreError::NotFound)?)?)
    }

    pub(super) async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let attempt = |_| async {
            insert(&mut self.connections.lend(Use::Background).await?, key).await.map_err(meaning)
        };
        self.connections.patiently(Use::Background, attempt).await
    }

    pub(super) async fn select_keys(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let select = || sqlx::query_as(sql::SELECT_KEYS).bind(organization.map(OrganizationId::uuid));
        let rows: Vec<KeyRow> = self.connections.all(Use::Background, select).await?;
        Ok(rows.into_iter().map(ApiKey::try_from).collect::<Result<_, _>>()?)
    }

    pub(super) async fn select_keys_by_digest(
        &self,
        digests: &[KeyDigest],
    ) -> Result<Vec<ApiKey>, StoreError> {
        let digests: Vec<_> = digests.iter().map(|digest| digest.0.to_vec()).collect();
        let select = || sqlx::query_as(sql::SELECT_KEYS_BY_DIGEST).bind(digests.clone());
        let rows: Vec<KeyRow> = self.connections.all(Use::Keys, select).await?;
        Ok(rows.into_iter().map(ApiKey::try_from).collect::<Result<_, _>>()?)
    }

    pub(super) async fn update_revoked(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
        let revoke = || sqlx::query_as(sql::REVOKE_KEY).bind(at).bind(id.uuid());
        let row: Option<KeyRow> = self.connections.optional(Use::Background, revoke).await?;
        Ok(ApiKey::try_from(row.ok_or(StoreError::NotFound)?)?)
    }

    pub(super) async fn update_last_used(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let (ids, times): (Vec<_>, Vec<_>) = used.iter().map(|(id, at)| (id.uuid(), *at)).unzip();
        let mut lent = self.connections.lend(Use::Background).await?;
        sqlx::query(sql::TOUCH_KEYS).bind(ids).bind(times).execute(&mut lent).await?;
        Ok(())
    }

    /// The organization's row is the lock that instances starting at once wait at.
    pub(super) async fn insert_first_key(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        self.connections.patiently(Use::Background, |_| self.try_insert_first_key(organization, key)).await
    }

    async fn try_insert_first_key(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        let mut lent = self.connections.begin(Use::Background).await?;
        if any_key(&mut lent).await? {
            return Ok(None);
        }
        let made = insert_organization(&mut lent, sql::INSERT_ORGANIZATION_IF_NEW, organization).await;
        if made.map_err(meaning)? {
            insert_builtin(&mut lent, organization).await.map_err(meaning)?;
        }
        let lock = sqlx::query_scalar(sql::LOCK_ORGANIZATION_BY_NAME).bind(organization.name.as_str());
        let locked: Uuid = lock.fetch_one(&mut lent).await?;
        if any_key(&mut lent).await? {
            return Ok(None);
        }
        let key = ApiKey { organization_id: OrganizationId::from_uuid(locked), ..key.clone() };
        insert(&mut lent, &key).await.map_err(meaning)?;
        lent.commit().await?;
        Ok(Some(key))
    }
}

fn meaning(failure: Failure) -> StoreError {
    failure.meaning(StoreError::Duplicate, StoreError::NotFound)
}

async fn any_key(executor: impl PgExecutor<'_>) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(sql::ANY_KEY).fetch_one(executor).await?)
}

/// Writes an organization by one of the statements that do; tells whether it is new.
async fn insert_organization(
    lent: &mut Lent,
    statement: &'static str,
    organization: &Organization,
) -> Result<bool, Failure> {
    let inserted = sqlx::query(statement)
        .bind(organization.id.uuid())
        .bind(organization.name.as_str())
        .bind(organization.requires_disposition)
        .bind(organization.created_at)
        .execute(lent)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Writes what every organization has: its statuses, and a feed without events.
async fn insert_builtin(lent: &mut Lent, organization: &Organization) -> Result<(), Failure> {
    sqlx::query(sql::INSERT_HEAD)
        .bind(organization.id.uuid())
        .bind(Head::EMPTY.position)
        .bind(Head::EMPTY.hash.0.as_slice())
        .execute(&mut *lent)
        .await?;
    for status in AlertStatus::builtin(organization.id, organization.created_at) {
        statuses::insert(&mut *lent, &status).await?;
    }
    Ok(())
}

async fn insert(executor: impl PgExecutor<'_>, key: &ApiKey) -> Result<(), Failure> {
    sqlx::query(sql::INSERT_KEY)
        .bind(key.id.uuid())
        .bind(key.organization_id.uuid())
        .bind(key.name.as_str())
        .bind(key.owner.as_str())
        .bind(key.scopes.names())
        .bind(&key.prefix)
        .bind(key.digest.0.as_slice())
        .bind(key.created_at)
        .bind(key.expires_at)
        .bind(key.revoked_at)
        .bind(key.last_used_at)
        .execute(executor)
        .await?;
    Ok(())
}
