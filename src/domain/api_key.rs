//! API keys as the store keeps them: no secret, only its digest.

use std::fmt;

use super::{Invalid, KeyId, Name, OrganizationId, Person, Timestamp};

/// A permission of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read alerts, statuses and history.
    AlertsRead,
    /// Flag and change alerts.
    AlertsWrite,
    /// Add, change and delete statuses.
    StatusesWrite,
    /// Everything.
    All,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::AlertsRead, Self::AlertsWrite, Self::StatusesWrite, Self::All];

    /// The scope's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlertsRead => "alerts:read",
            Self::AlertsWrite => "alerts:write",
            Self::StatusesWrite => "statuses:write",
            Self::All => "*",
        }
    }

    /// Reads a scope's name.
    ///
    /// # Errors
    /// When it is none of the scopes; says which there are.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == raw);
        found.ok_or_else(|| Invalid::unknown_word(raw, Self::ALL.map(Self::as_str)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scopes of a key, in a fixed order and without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These scopes.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Returns true where they allow what `scope` stands for.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::All)
    }

    /// The scopes, one by one.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// The scopes' names.
    pub fn names(&self) -> Vec<&'static str> {
        self.iter().map(Scope::as_str).collect()
    }
}

/// The SHA-256 of a key's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// The organization whose alerts it reaches.
    pub organization_id: OrganizationId,
    /// The name.
    pub name: Name,
    /// The person responsible for it; new alerts are assigned to them by default.
    pub owner: Person,
    /// The permissions.
    pub scopes: Scopes,
    /// The first characters of the secret, to recognise it by.
    pub prefix: String,
    /// The SHA-256 of the secret.
    pub digest: KeyDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_allows_everything_and_nothing_else_does() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()).unwrap(), scope);
            assert!(Scopes::new([Scope::All]).allow(scope));
            assert_eq!(Scopes::new([Scope::AlertsRead]).allow(scope), scope == Scope::AlertsRead);
        }
    }
}
