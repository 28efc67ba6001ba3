//! Rows of `alerts_to_adopt`.

use uuid::Uuid;

use crate::{
    domain::{AnomalyId, OrganizationId},
    store::{Inconsistent, shared::row::row},
};

row! {
    /// A row of `alerts_to_adopt`.
    pub struct AdoptionRow(adoption_columns: "", "alerts_to_adopt", 1: Uuid => AnomalyId::from_uuid)
    -> (OrganizationId, AnomalyId) {
        organization_id: Uuid,
        anomaly_id: Uuid,
    }
}
pub(in crate::store) use adoption_columns;

impl TryFrom<AdoptionRow> for (OrganizationId, AnomalyId) {
    type Error = Inconsistent;

    fn try_from(row: AdoptionRow) -> Result<Self, Inconsistent> {
        Ok((OrganizationId::from_uuid(row.organization_id), AnomalyId::from_uuid(row.anomaly_id)))
    }
}
