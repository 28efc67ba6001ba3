//! API keys.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{SqliteStore, organizations, query, sql};
use crate::{
    domain::{ApiKey, KeyDigest, KeyId, Organization, OrganizationId, Timestamp},
    store::{
        KeyStore, StoreError,
        failure::Failure,
        shared::{self, queries, rows::key::KeyRow},
    },
};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |batch| insert(batch.conn, &key)).await
    }

    async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError> {
        queries::keys(self, organization).await
    }

    async fn keys_by_digest(&self, digests: &[KeyDigest]) -> Result<Vec<ApiKey>, StoreError> {
        let digests = digests.to_vec();
        self.look_up(move |conn| {
            let mut keys = Vec::new();
            for digest in &digests {
                keys.extend(query::optional::<KeyRow>(conn, sql::SELECT_KEY_BY_DIGEST, params![digest.0])?);
            }
            Ok(keys)
        })
        .await
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
        queries::revoke_key(self, id, at).await
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let used = used.to_vec();
        self.write(move |batch| {
            for (id, at) in &used {
                query::execute(batch.conn, sql::TOUCH_KEY, params![at.timestamp_micros(), id.uuid()])?;
            }
            Ok(())
        })
        .await
    }

    async fn bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError> {
        // Every start asks; only the first one needs the writer.
        if self.look_up(any_key).await? {
            return Ok(None);
        }
        let (organization, key) = (organization.clone(), key.clone());
        self.write(move |batch| bootstrap(batch.conn, &organization, &key)).await
    }
}

fn bootstrap(
    conn: &Connection,
    organization: &Organization,
    key: &ApiKey,
) -> Result<Option<ApiKey>, StoreError> {
    if any_key(conn)? {
        return Ok(None);
    }
    let mut by_name = conn.prepare_cached(sql::SELECT_ORGANIZATION_BY_NAME)?;
    let known: Option<Uuid> =
        by_name.query_row(params![organization.name.as_str()], |row| row.get(0)).optional()?;
    if known.is_none() {
        organizations::insert(conn, organization)?;
    }
    let organization_id = known.map_or(organization.id, OrganizationId::from_uuid);
    let key = ApiKey { organization_id, ..key.clone() };
    insert(conn, &key)?;
    Ok(Some(key))
}

fn any_key(conn: &Connection) -> Result<bool, StoreError> {
    query::value(conn, shared::sql::ANY_KEY, ())
}

fn insert(conn: &Connection, key: &ApiKey) -> Result<(), StoreError> {
    let inserted = query::write(conn, &sql::INSERT_KEY, &KeyRow::from(key));
    inserted.map_err(|error| Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound))
}
