//! The tenants.

use super::{Name, OrganizationId, Timestamp};

/// A tenant: every row belongs to one, and a key sees only its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// The name; unique.
    pub name: Name,
    /// True where closing an alert demands a disposition with a reason.
    pub requires_disposition: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Organization {
    /// The name of the first organization.
    pub const DEFAULT_NAME: &'static str = "default";
}
