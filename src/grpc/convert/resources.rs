//! The resources as messages.

use prost_types::Timestamp as Proto;

use super::{super::pb, metadata};
use crate::domain::{Alert, AlertStatus, Timestamp, text::words};

impl From<Alert> for pb::Alert {
    fn from(alert: Alert) -> Self {
        Self {
            anomaly_id: alert.id.to_string(),
            title: alert.title.into_string(),
            description: alert.description.into_string(),
            r#type: alert.kind.code().into(),
            assigned_to: alert.assigned_to.into_string(),
            escalated_to: words(&alert.escalated_to),
            status: alert.status.to_string(),
            created_at: Some(instant(alert.created_at)),
            updated_at: Some(instant(alert.updated_at)),
            affected_balances: words(&alert.entities.balances),
            affected_identities: words(&alert.entities.identities),
            affected_transactions: words(&alert.entities.transactions),
            organization_id: alert.organization_id.to_string(),
            status_class: alert.status_class.code().into(),
            severity: alert.severity.code().into(),
            metadata: Some(metadata::from_json(alert.metadata.as_map())),
            version: alert.version,
        }
    }
}

impl From<AlertStatus> for pb::AlertStatus {
    fn from(status: AlertStatus) -> Self {
        Self {
            organization_id: status.organization_id.to_string(),
            key: status.key.to_string(),
            name: status.name.into_string(),
            colour: status.colour.as_str().to_owned(),
            created_at: Some(instant(status.created_at)),
            updated_at: Some(instant(status.updated_at)),
            class: status.class.code().into(),
        }
    }
}

fn instant(at: Timestamp) -> Proto {
    // Subsecond nanoseconds are below 2 × 10^9, which an i32 holds.
    Proto { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos().cast_signed() }
}
