//! Rows of `api_keys`.

use uuid::Uuid;

use crate::{
    domain::{ApiKey, KeyDigest, KeyId, Name, OrganizationId, Person, Scope, Scopes, Timestamp, text::words},
    store::{
        Inconsistent,
        shared::{cell::Cell, row::row},
    },
};

row! {
    /// A row of `api_keys`.
    pub struct KeyRow(key_columns: "", "api_keys", 0: Uuid => KeyId::from_uuid) -> ApiKey {
        key_id: Uuid,
        organization_id: Uuid,
        name: String,
        owner: String,
        scopes: Vec<String>,
        prefix: String,
        digest: Vec<u8>,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
        last_used_at: Option<Timestamp>,
    }
}
pub(in crate::store) use key_columns;

impl TryFrom<KeyRow> for ApiKey {
    type Error = Inconsistent;

    fn try_from(row: KeyRow) -> Result<Self, Inconsistent> {
        let id = KeyId::from_uuid(row.key_id);
        let cell = Cell { table: "api_keys", row: &id };
        Ok(Self {
            id,
            organization_id: OrganizationId::from_uuid(row.organization_id),
            name: cell.read("name", Name::parse(&row.name))?,
            owner: cell.read("owner", Person::parse(&row.owner))?,
            scopes: Scopes::new(cell.list("scopes", &row.scopes, Scope::parse)?),
            prefix: row.prefix,
            digest: KeyDigest(cell.read("digest", row.digest.try_into().map_err(|_| "is not 32 bytes"))?),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

impl From<&ApiKey> for KeyRow {
    fn from(key: &ApiKey) -> Self {
        Self {
            key_id: key.id.uuid(),
            organization_id: key.organization_id.uuid(),
            name: key.name.as_str().to_owned(),
            owner: key.owner.as_str().to_owned(),
            scopes: words(&key.scopes.names()),
            prefix: key.prefix.clone(),
            digest: key.digest.0.to_vec(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}
