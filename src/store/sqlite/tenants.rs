//! Organizations and their keys.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{SqliteStore, query, rows, rows::json_list, sql, statuses};
use crate::{
    domain::{AlertStatus, ApiKey, Head, KeyDigest, KeyId, Organization, OrganizationId, Timestamp},
    store::{StoreError, failure::Failure},
};

impl SqliteStore {
    pub(super) async fn insert_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let organization = organization.clone();
        self.write(move |batch| insert_with_statuses(batch.conn, &organization)).await
    }

    pub(super) async fn select_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        self.read(|conn| query::all(conn, sql::SELECT_ORGANIZATIONS, (), rows::organization)).await
    }

    pub(super) async fn update_requirement(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError> {
        self.write(move |batch| {
            let params = params![required, organization.uuid()];
            let row = query::optional(batch.conn, sql::REQUIRE_DISPOSITION, params, rows::organization)?;
            Ok(Organization::try_from(row.ok_or(StoreError::NotFound)?)?)
        })
        .await
    }

    pub(super) async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |batch| insert(batch.conn, &key)).await
    }

    pub(super) async fn select_keys(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<Vec<ApiKey>, StoreError> {
        self.read(move |conn| {
            let params = params![organization.map(OrganizationId::uuid)];
            query::all(conn, sql::SELECT_KEYS, params, rows::key)
        })
        .await
    }

    pub(super) async fn select_keys_by_digest(
        &self,
        digests: &[KeyDigest],
    ) -> Result<Vec<ApiKey>, StoreError> {
        let digests = digests.to_vec();
        self.look_up(move |conn| {
            let mut keys = Vec::new();
            for digest in &digests {
                let row = query::optional(conn, sql::SELECT_KEY_BY_DIGEST, params![digest.0], rows::key)?;
                keys.extend(row.map(ApiKey::try_from).transpose()?);
            }
            Ok(keys)
        })
        .await
    }

    pub(super) async fn update_revoked(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
        self.write(move |batch| {
            let params = params![at.timestamp_micros(), id.uuid()];
            let row = query::optional(batch.conn, sql::REVOKE_KEY, params, rows::key)?;
            Ok(ApiKey::try_from(row.ok_or(StoreError::NotFound)?)?)
        })
        .await
    }

    pub(super) async fn update_last_used(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let used = used.to_vec();
        self.write(move |batch| {
            for (id, at) in &used {
                query::execute(batch.conn, sql::TOUCH_KEY, params![at.timestamp_micros(), id.uuid()])?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn insert_first_key(
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
        insert_with_statuses(conn, organization)?;
    }
    let organization_id = known.map_or(organization.id, OrganizationId::from_uuid);
    let key = ApiKey { organization_id, ..key.clone() };
    insert(conn, &key)?;
    Ok(Some(key))
}

fn any_key(conn: &Connection) -> Result<bool, StoreError> {
    query::value(conn, sql::ANY_KEY, ())
}

fn meaning(error: rusqlite::Error) -> StoreError {
    Failure::from(error).meaning(StoreError::Duplicate, StoreError::NotFound)
}

fn insert_with_statuses(conn: &Connection, organization: &Organization) -> Result<(), StoreError> {
    let id = organization.id.uuid();
    let (name, required) = (organization.name.as_str(), organization.requires_disposition);
    let inserted = params![id, name, required, organization.created_at.timestamp_micros()];
    query::execute(conn, sql::INSERT_ORGANIZATION, inserted).map_err(meaning)?;
    query::execute(conn, sql::INSERT_HEAD, params![id, Head::EMPTY.position, Head::EMPTY.hash.0])?;
    for status in AlertStatus::builtin(organization.id, organization.created_at) {
        let inserted = statuses::insert(conn, &status);
        inserted.map_err(|failure| failure.meaning(StoreError::Duplicate, StoreError::NotFound))?;
    }
    Ok(())
}

fn insert(conn: &Connection, key: &ApiKey) -> Result<(), StoreError> {
    let micros = |at: Option<Timestamp>| at.map(|at| at.timestamp_micros());
    let params = params![
        key.id.uuid(),
        key.organization_id.uuid(),
        key.name.as_str(),
        key.owner.as_str(),
        json_list(&key.scopes.names()),
        key.prefix,
        key.digest.0,
        key.created_at.timestamp_micros(),
        micros(key.expires_at),
        micros(key.revoked_at),
        micros(key.last_used_at),
    ];
    query::execute(conn, sql::INSERT_KEY, params).map_err(meaning)?;
    Ok(())
}
