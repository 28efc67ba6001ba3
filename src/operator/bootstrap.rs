//! The first start on an empty database.

use super::Operator;
use crate::{
    auth::Secret,
    domain::{ApiKey, Name, Organization, OrganizationId, Person, Scope, Scopes},
    error::Error,
};

/// The first key of a database, made just now.
#[derive(Debug)]
pub struct FirstKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret, to be shown once; `None` when whoever started the service chose it.
    pub generated: Option<Secret>,
}

impl Operator {
    /// Makes the organization `default` and an all-scopes key for it, unless there is any key. The key's secret is
    /// `chosen`, or a fresh one. Of several instances that start at once, exactly one makes them.
    ///
    /// # Errors
    /// Only those of the store and of the operating system's randomness.
    pub async fn bootstrap(&self, chosen: Option<Secret>) -> Result<Option<FirstKey>, Error> {
        let now = self.clock.now();
        let organization = Organization {
            id: OrganizationId::from_uuid(self.ids.next(now)),
            name: Name::literal(Organization::DEFAULT_NAME),
            requires_disposition: false,
            created_at: now,
        };
        let (secret, is_chosen) = match chosen {
            Some(secret) => (secret, true),
            None => (Secret::generate()?, false),
        };
        let name = Name::literal("bootstrap");
        let owner = Person::literal("admin");
        let key = self.key(organization.id, name, owner, Scopes::new([Scope::All]), &secret, now);
        let made = self.store.bootstrap(&organization, &key).await?;
        Ok(made.map(|key| FirstKey { key, generated: (!is_chosen).then_some(secret) }))
    }
}
