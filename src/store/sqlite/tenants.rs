//! Organizations and their keys.

use sqlx::{Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::{SqliteStore, rows::json_list, sql, statuses};
use crate::{
    domain::{AlertStatus, ApiKey, Head, KeyDigest, KeyId, Organization, OrganizationId, Timestamp},
    store::{
        StoreError,
        failure::Failure,
        rows::{KeyRow, OrganizationRow},
    },
};

impl SqliteStore {
    pub(super) async fn insert_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        insert_with_statuses(&mut transaction, organization).await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn select_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let query = sqlx::query_as(sql::SELECT_ORGANIZATIONS);
        let rows: Vec<OrganizationRow> = query.fetch_all(&mut *self.reader().await?).await?;
        Ok(rows.into_iter().map(Organization::try_from).collect::<Result<_, _>>()?)
    }

    pub(super) async fn update_requirement(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError> {
        let query = sqlx::query_as(sql::REQUIRE_DISPOSITION).bind(required).bind(organization.uuid());
        let mut transaction = self.begin().await?;
        let row: Option<OrganizationRow> = query.fetch_optional(&mut *transaction).await?;
        let organization = Organization::try_from(row.ok_or(StoreError::NotFound)?)?;
        transaction.commit().await?;
        Ok(organization)
    }

    pub(super) async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let inserted = insert(&mut transaction, key).await;
        inserted.map_err(|failure| failure.meaning(StoreError::Duplicate, StoreError::NotFound))?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn select_keys(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let query = sqlx::query_as(sql::SELECT_KEYS).bind(organization.map(OrganizationId::uuid));
        let rows: Vec<KeyRow> = query.fetch_all(&mut *self.reader().await?).await?;
        Ok(rows.into_iter().map(ApiKey::try_from).collect::<Result<_, _>>()?)
    }

    pub(super) async fn select_key(&self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError> {
        let query = sqlx::query_as(sql::SELECT_KEY_BY_DIGEST).bind(digest.0.as_slice());
        let row: Option<KeyRow> = query.fetch_optional(&mut *self.reader().await?).await?;
        Ok(row.map(ApiKey::try_from).transpose()?)
    }

    pub(super) async fn update_revoked(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
        let query = sqlx::query_as(sql::REVOKE_KEY).bind(at.timestamp_micros()).bind(id.uuid());
        // In a transaction: outside of one, a commit that fails would go unnoticed behind the row.
        let mut transaction = self.begin().await?;
        let row: Option<KeyRow> = query.fetch_optional(&mut *transaction).await?;
        let key = ApiKey::try_from(row.ok_or(StoreError::NotFound)?)?;
        transaction.commit().await?;
        Ok(key)
    }

    pub(super) async fn update_last_used(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError> {
        let query = sqlx::query(sql::TOUCH_KEY).bind(at.timestamp_micros()).bind(id.uuid());
        query.execute(&self.writer).await?;
        Ok(())
    }

    pub(super) async fn insert_first_key(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        // Every start asks; only the first one needs the writer.
        if any_key(&mut *self.reader().await?).await? {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        if any_key(&mut transaction).await? {
            return Ok(None);
        }
        let query = sqlx::query_scalar(sql::SELECT_ORGANIZATION_BY_NAME).bind(organization.name.as_str());
        let known: Option<Uuid> = query.fetch_optional(&mut *transaction).await?;
        if known.is_none() {
            insert_with_statuses(&mut transaction, organization).await?;
        }
        let organization_id = known.map_or(organization.id, OrganizationId::from_uuid);
        let key = ApiKey { organization_id, ..key.clone() };
        let inserted = insert(&mut transaction, &key).await;
        inserted.map_err(|failure| failure.meaning(StoreError::Duplicate, StoreError::NotFound))?;
        transaction.commit().await?;
        Ok(Some(key))
    }
}

async fn any_key(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(sql::ANY_KEY).fetch_one(conn).await?)
}

async fn insert_with_statuses(
    transaction: &mut Transaction<'_, Sqlite>,
    organization: &Organization,
) -> Result<(), StoreError> {
    let meaning = |failure: Failure| failure.meaning(StoreError::Duplicate, StoreError::NotFound);
    let inserted = sqlx::query(sql::INSERT_ORGANIZATION)
        .bind(organization.id.uuid())
        .bind(organization.name.as_str())
        .bind(organization.requires_disposition)
        .bind(organization.created_at.timestamp_micros())
        .execute(&mut **transaction)
        .await;
    inserted.map_err(|error| meaning(error.into()))?;
    sqlx::query(sql::INSERT_HEAD)
        .bind(organization.id.uuid())
        .bind(Head::EMPTY.position)
        .bind(Head::EMPTY.hash.0.as_slice())
        .execute(&mut **transaction)
        .await?;
    for status in AlertStatus::builtin(organization.id, organization.created_at) {
        statuses::insert(transaction, &status).await.map_err(meaning)?;
    }
    Ok(())
}

async fn insert(conn: &mut SqliteConnection, key: &ApiKey) -> Result<(), Failure> {
    let micros = |at: Option<Timestamp>| at.map(|at| at.timestamp_micros());
    sqlx::query(sql::INSERT_KEY)
        .bind(key.id.uuid())
        .bind(key.organization_id.uuid())
        .bind(key.name.as_str())
        .bind(key.owner.as_str())
        .bind(json_list(&key.scopes.names()))
        .bind(&key.prefix)
        .bind(key.digest.0.as_slice())
        .bind(key.created_at.timestamp_micros())
        .bind(micros(key.expires_at))
        .bind(micros(key.revoked_at))
        .bind(micros(key.last_used_at))
        .execute(conn)
        .await?;
    Ok(())
}
