//! API keys.

use async_trait::async_trait;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{
    PostgresStore,
    connections::Use,
    lent::Lent,
    organizations,
    rows::{Decoded, arguments},
    sql,
};
use crate::{
    domain::{ApiKey, KeyDigest, KeyId, Organization, OrganizationId, Timestamp},
    store::{
        KeyStore, StoreError,
        failure::Failure,
        shared::{self, queries, row::Table, rows::key::KeyRow},
    },
};

#[async_trait]
impl KeyStore for PostgresStore {
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let attempt = |_| async { insert(&mut self.connections.lend(Use::Background).await?, key).await };
        self.connections.patiently(Use::Background, attempt).await
    }

    async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError> {
        queries::keys(self, organization).await
    }

    async fn keys_by_digest(&self, digests: &[KeyDigest]) -> Result<Vec<ApiKey>, StoreError> {
        let digests: Vec<_> = digests.iter().map(|digest| digest.0.to_vec()).collect();
        let select = || Ok(sqlx::query_as(sql::SELECT_KEYS_BY_DIGEST).bind(digests.clone()));
        let rows: Vec<Decoded<KeyRow>> = self.connections.all(Use::Keys, select).await?;
        Ok(rows.into_iter().map(|Decoded(row)| ApiKey::try_from(row)).collect::<Result<_, _>>()?)
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
        queries::revoke_key(self, id, at).await
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let (ids, times): (Vec<_>, Vec<_>) = used.iter().map(|(id, at)| (id.uuid(), *at)).unzip();
        let mut lent = self.connections.lend(Use::Background).await?;
        sqlx::query(sql::TOUCH_KEYS).bind(ids).bind(times).execute(&mut lent).await?;
        Ok(())
    }

    /// The organization's row is the lock that instances starting at once wait at.
    async fn bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        self.connections.patiently(Use::Background, |_| self.try_bootstrap(organization, key)).await
    }
}

impl PostgresStore {
    async fn try_bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        let mut lent = self.connections.begin(Use::Background).await?;
        if any_key(&mut lent).await? {
            return Ok(None);
        }
        organizations::insert(&mut lent, &sql::INSERT_ORGANIZATION_IF_NEW, organization).await?;
        let lock = sqlx::query_scalar(sql::LOCK_ORGANIZATION_BY_NAME).bind(organization.name.as_str());
        let locked: Uuid = lock.fetch_one(&mut lent).await?;
        if any_key(&mut lent).await? {
            return Ok(None);
        }
        let key = ApiKey { organization_id: OrganizationId::from_uuid(locked), ..key.clone() };
        insert(&mut lent, &key).await?;
        lent.commit().await?;
        Ok(Some(key))
    }
}

async fn any_key(executor: impl PgExecutor<'_>) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(shared::sql::ANY_KEY).fetch_one(executor).await?)
}

async fn insert(lent: &mut Lent, key: &ApiKey) -> Result<(), StoreError> {
    let arguments = arguments(KeyRow::from(key).values())?;
    match sqlx::query_with(sql::INSERT_KEY.as_str(), arguments).execute(lent).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound)),
    }
}
