//! Rows of `alert_statuses`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    domain::{AlertStatus, Colour, Name, OrganizationId, StatusClass, StatusKey, StatusOrigin, Timestamp},
    store::{
        Inconsistent,
        shared::{cell::Cell, row::row},
    },
};

row! {
    /// A row of `alert_statuses`. Also how a status is kept in the answer to a change that may be repeated.
    #[derive(Serialize, Deserialize)]
    pub struct StatusRow(status_columns: "", "alert_statuses", 1: String => |key| key) -> AlertStatus {
        organization_id: Uuid,
        key: String,
        name: String,
        colour: String,
        class: i16,
        #[serde(skip)]
        builtin: bool,
        created_at: Timestamp,
        updated_at: Timestamp,
    }
}
pub(in crate::store) use status_columns;

impl From<&AlertStatus> for StatusRow {
    fn from(status: &AlertStatus) -> Self {
        Self {
            organization_id: status.organization_id.uuid(),
            key: status.key.as_str().to_owned(),
            name: status.name.as_str().to_owned(),
            colour: status.colour.as_str().to_owned(),
            class: status.class.code(),
            builtin: status.key.origin() == StatusOrigin::Builtin,
            created_at: status.created_at,
            updated_at: status.updated_at,
        }
    }
}

impl TryFrom<StatusRow> for AlertStatus {
    type Error = Inconsistent;

    fn try_from(row: StatusRow) -> Result<Self, Inconsistent> {
        let cell = Cell { table: "alert_statuses", row: &row.key };
        Ok(Self {
            organization_id: OrganizationId::from_uuid(row.organization_id),
            key: cell.read("key", StatusKey::parse(&row.key))?,
            name: cell.read("name", Name::parse(&row.name))?,
            colour: cell.read("colour", Colour::parse(&row.colour))?,
            class: cell.known("class", StatusClass::from_code(row.class), row.class)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
