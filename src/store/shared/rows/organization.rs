//! Rows of `organizations`.

use uuid::Uuid;

use crate::{
    domain::{Name, Organization, OrganizationId, Timestamp},
    store::{
        Inconsistent,
        shared::{cell::Cell, row::row},
    },
};

row! {
    /// A row of `organizations`.
    pub struct OrganizationRow(organization_columns: "", "organizations", 0: Uuid => OrganizationId::from_uuid) -> Organization {
        organization_id: Uuid,
        name: String,
        require_disposition: bool,
        created_at: Timestamp,
    }
}
pub(in crate::store) use organization_columns;

impl TryFrom<OrganizationRow> for Organization {
    type Error = Inconsistent;

    fn try_from(row: OrganizationRow) -> Result<Self, Inconsistent> {
        let id = OrganizationId::from_uuid(row.organization_id);
        let cell = Cell { table: "organizations", row: &id };
        Ok(Self {
            id,
            name: cell.read("name", Name::parse(&row.name))?,
            requires_disposition: row.require_disposition,
            created_at: row.created_at,
        })
    }
}

impl From<&Organization> for OrganizationRow {
    fn from(organization: &Organization) -> Self {
        Self {
            organization_id: organization.id.uuid(),
            name: organization.name.as_str().to_owned(),
            require_disposition: organization.requires_disposition,
            created_at: organization.created_at,
        }
    }
}
