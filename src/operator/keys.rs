//! Making, listing and revoking API keys.

use chrono::TimeDelta;

use super::Operator;
use crate::{
    auth::Secret,
    domain::{
        ApiKey, Invalid, KeyId, Name, OrganizationId, Person, Scope, Scopes, Timestamp, clock,
        invalid::{parse_list, quoted},
        text::parse_line,
    },
    error::{Error, Reason},
    service::fields::Fields,
    store::StoreError,
};

/// A key to be made.
#[derive(Debug)]
pub struct NewKeyInput {
    /// The organization whose alerts it reaches.
    pub organization_id: OrganizationId,
    /// The name.
    pub name: String,
    /// The person responsible for it.
    pub owner: String,
    /// The permissions.
    pub scopes: Vec<String>,
    /// How long it works; for ever when absent.
    pub expires_in: Option<std::time::Duration>,
}

impl Operator {
    /// Makes a key; its secret is told here and never again.
    ///
    /// # Errors
    /// `GEN_VALIDATION_ERROR`; `GEN_NOT_FOUND` when there is no such organization.
    pub async fn create_key(&self, input: NewKeyInput) -> Result<(ApiKey, Secret), Error> {
        let now = self.clock.now();
        let mut fields = Fields::default();
        let name = fields.read("name", parse_line(&input.name, Name::parse));
        let owner = fields.read("owner", parse_line(&input.owner, Person::parse));
        let scopes = fields.read("scopes", parse_scopes(&input.scopes));
        let expires_at =
            fields.read("expires_in", input.expires_in.map(|span| expiry(now, span)).transpose());
        let (Some(name), Some(owner), Some(scopes), Some(expires_at)) = (name, owner, scopes, expires_at)
        else {
            return Err(fields.into_error());
        };
        let secret = Secret::generate()?;
        let key = self.key(input.organization_id, name, owner, scopes, &secret, now);
        let key = ApiKey { expires_at, ..key };
        match self.store.create_key(&key).await {
            Ok(()) => Ok((key, secret)),
            Err(StoreError::NotFound) => Err(Error::new(Reason::NotFound, "there is no such organization")),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads the keys of an organization, or of all, oldest first.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, Error> {
        Ok(self.store.keys(organization).await?)
    }

    /// Revokes a key: within five seconds no running instance accepts it.
    ///
    /// # Errors
    /// `GEN_NOT_FOUND` when there is no such key.
    pub async fn revoke_key(&self, key_id: &str) -> Result<ApiKey, Error> {
        let not_found = || Error::new(Reason::NotFound, format!("there is no key {}", quoted(key_id)));
        let id = KeyId::parse(key_id).map_err(|_| not_found())?;
        match self.store.revoke_key(id, self.clock.now()).await {
            Ok(key) => Ok(key),
            Err(StoreError::NotFound) => Err(not_found()),
            Err(other) => Err(other.into()),
        }
    }

    /// A key that never expires, for `secret`, made now.
    pub(super) fn key(
        &self,
        organization_id: OrganizationId,
        name: Name,
        owner: Person,
        scopes: Scopes,
        secret: &Secret,
        now: Timestamp,
    ) -> ApiKey {
        ApiKey {
            id: KeyId::from_uuid(self.ids.next(now)),
            organization_id,
            name,
            owner,
            scopes,
            prefix: secret.prefix(),
            digest: secret.digest(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }
}

fn parse_scopes(raw: &[String]) -> Result<Scopes, Invalid> {
    let scopes = parse_list(raw, Scope::ALL.len(), "scopes", Scope::parse)?;
    if scopes.is_empty() {
        return Err(Invalid::new("must name at least one scope"));
    }
    Ok(Scopes::new(scopes))
}

fn expiry(now: Timestamp, span: std::time::Duration) -> Result<Timestamp, Invalid> {
    let at = TimeDelta::from_std(span).ok().and_then(|span| now.checked_add_signed(span));
    at.filter(clock::is_writable).ok_or_else(|| Invalid::new("must end before the year 10000"))
}
