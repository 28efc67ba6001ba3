//! The identity of a caller, by any proof of it.

use std::sync::Arc;

use crate::{
    domain::{Actor, ApiKey, KeyDigest, KeyId, Name, OrganizationId, Person, Scope, Scopes, Timestamp},
    error::{Error, Reason},
};

/// The identity that a proof yields.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The organization that its calls are bounded by.
    pub organization_id: OrganizationId,
    /// Its permissions.
    pub scopes: Scopes,
    /// The person responsible for it.
    pub owner: Person,
    /// When its proof ends; never when absent.
    pub expires_at: Option<Timestamp>,
    /// The proof.
    pub proof: Proof,
}

/// A proof of identity.
#[derive(Debug, Clone)]
pub enum Proof {
    /// An API key.
    Key {
        /// The key.
        id: KeyId,
        /// Its name.
        name: Name,
        /// The digest of its secret.
        digest: KeyDigest,
    },
}

impl Principal {
    /// The id as text, for the log and for limits.
    pub fn id(&self) -> String {
        match &self.proof {
            Proof::Key { id, .. } => id.to_string(),
        }
    }

    /// Returns true once its proof has ended.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl From<ApiKey> for Principal {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, organization_id, name, owner, scopes, digest, expires_at, .. } = key;
        Self { organization_id, scopes, owner, expires_at, proof: Proof::Key { id, name, digest } }
    }
}

/// The principal of a call, with what the call adds to it.
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Arc<Principal>,
    on_behalf_of: Option<Person>,
    trace_id: String,
}

impl Caller {
    /// The caller of the call that `trace_id` traces.
    pub fn new(principal: Arc<Principal>, on_behalf_of: Option<Person>, trace_id: &str) -> Self {
        Self { principal, on_behalf_of, trace_id: trace_id.to_owned() }
    }

    /// The principal.
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The organization that the call is bounded by.
    pub fn organization_id(&self) -> OrganizationId {
        self.principal.organization_id
    }

    /// Lets the call pass when the principal has the scope.
    ///
    /// # Errors
    /// [`Reason::InsufficientPermissions`], with the scope that is missing.
    pub fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.principal.scopes.allow(scope) {
            return Ok(());
        }
        let message = format!("the API key lacks the scope {scope}");
        Err(Error::new(Reason::InsufficientPermissions, message).with("missing_scope", scope.as_str()))
    }

    /// The author of the changes that this call makes.
    pub fn actor(&self) -> Actor {
        match &self.principal.proof {
            Proof::Key { id, name, .. } => {
                Actor::Key { id: *id, name: name.clone(), on_behalf_of: self.on_behalf_of.clone() }
            }
        }
    }

    /// The id that traces the call.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }
}
