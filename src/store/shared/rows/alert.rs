//! Rows of `alerts`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::{
        Actor, AffectedEntities, Alert, AnomalyId, Assignee, DedupKey, Description, Disposition,
        DispositionReason, EntityId, EntityType, Metadata, OrganizationId, Person, Severity, StatusClass,
        StatusKey, Timestamp, Title, text::words,
    },
    store::{
        Inconsistent,
        shared::{
            cell::Cell,
            row::{Column, Table, row},
        },
    },
};

row! {
    /// A row of `alerts`. Also how an alert is kept in the answer to a change that may be repeated.
    #[derive(Serialize, Deserialize)]
    pub struct AlertRow(alert_columns: "a.", "alerts", 1: Uuid => AnomalyId::from_uuid) -> Alert {
        organization_id: Uuid,
        anomaly_id: Uuid,
        title: String,
        description: String,
        kind as "type": i16,
        status: String,
        status_class: i16,
        severity: i16,
        assigned_to: String,
        escalated_to: Vec<String>,
        affected_balances: Vec<String>,
        affected_transactions: Vec<String>,
        affected_identities: Vec<String>,
        metadata: Map<String, Value>,
        version: i64,
        created_at: Timestamp,
        updated_at: Timestamp,
        disposition: i16,
        disposition_reason: String,
        closed_at: Option<Timestamp>,
        closed_by: Option<Value>,
        dedup_key: Option<String>,
        occurrence_count: i64,
        last_occurred_at: Timestamp,
        previous_anomaly_id: Option<Uuid>,
        sequence: i64,
    }
}
pub(in crate::store) use alert_columns;

/// The columns of an [`AlertRow`], for statements that are composed.
pub const ALERT_COLUMNS: &str = alert_columns!();

/// The columns by which an alert is found.
const KEY: [&str; 2] = ["organization_id", "anomaly_id"];
/// The columns that are written once, when the alert is made.
const FIXED: [&str; 4] = ["created_at", "type", "dedup_key", "previous_anomaly_id"];

impl AlertRow {
    /// The columns by which an alert is found.
    pub fn key() -> impl Iterator<Item = &'static Column<Self>> {
        Self::COLUMNS.iter().filter(|column| KEY.contains(&column.name))
    }

    /// The columns that a change may write.
    pub fn changing() -> impl Iterator<Item = &'static Column<Self>> {
        Self::COLUMNS.iter().filter(|column| !KEY.contains(&column.name) && !FIXED.contains(&column.name))
    }
}

impl From<&Alert> for AlertRow {
    fn from(alert: &Alert) -> Self {
        Self {
            organization_id: alert.organization_id.uuid(),
            anomaly_id: alert.id.uuid(),
            title: alert.title.as_str().to_owned(),
            description: alert.description.as_str().to_owned(),
            kind: alert.kind.code(),
            status: alert.status.as_str().to_owned(),
            status_class: alert.status_class.code(),
            severity: alert.severity.code(),
            assigned_to: alert.assigned_to.as_str().to_owned(),
            escalated_to: words(&alert.escalated_to),
            affected_balances: words(&alert.entities.balances),
            affected_transactions: words(&alert.entities.transactions),
            affected_identities: words(&alert.entities.identities),
            metadata: alert.metadata.as_map().clone(),
            version: alert.version,
            created_at: alert.created_at,
            updated_at: alert.updated_at,
            disposition: alert.disposition.code(),
            disposition_reason: alert.disposition_reason.as_str().to_owned(),
            closed_at: alert.closed_at,
            closed_by: alert.closed_by.as_ref().map(Actor::to_json),
            dedup_key: alert.dedup_key.as_ref().map(ToString::to_string),
            occurrence_count: alert.occurrence_count,
            last_occurred_at: alert.last_occurred_at,
            previous_anomaly_id: alert.previous_anomaly_id.map(AnomalyId::uuid),
            sequence: alert.sequence,
        }
    }
}

impl TryFrom<AlertRow> for Alert {
    type Error = Inconsistent;

    fn try_from(row: AlertRow) -> Result<Self, Inconsistent> {
        let id = AnomalyId::from_uuid(row.anomaly_id);
        let cell = Cell { table: "alerts", row: &id };
        Ok(Self {
            organization_id: OrganizationId::from_uuid(row.organization_id),
            id,
            title: cell.read("title", Title::parse(&row.title))?,
            description: cell.read("description", Description::parse(&row.description))?,
            kind: cell.known("type", EntityType::from_code(row.kind), row.kind)?,
            entities: AffectedEntities {
                balances: cell.list("affected_balances", &row.affected_balances, EntityId::parse)?,
                transactions: cell.list(
                    "affected_transactions",
                    &row.affected_transactions,
                    EntityId::parse,
                )?,
                identities: cell.list("affected_identities", &row.affected_identities, EntityId::parse)?,
            },
            status: cell.read("status", StatusKey::parse(&row.status))?,
            status_class: cell.known(
                "status_class",
                StatusClass::from_code(row.status_class),
                row.status_class,
            )?,
            severity: cell.known("severity", Severity::from_code(row.severity), row.severity)?,
            assigned_to: cell.read("assigned_to", Assignee::parse(&row.assigned_to))?,
            escalated_to: cell.list("escalated_to", &row.escalated_to, Person::parse)?,
            metadata: cell.read("metadata", Metadata::parse(row.metadata))?,
            disposition: cell.known(
                "disposition",
                Disposition::from_code(row.disposition),
                row.disposition,
            )?,
            disposition_reason: cell
                .read("disposition_reason", DispositionReason::parse(&row.disposition_reason))?,
            closed_at: row.closed_at,
            closed_by: row
                .closed_by
                .map(|actor| cell.read("closed_by", Actor::from_json(&actor)))
                .transpose()?,
            dedup_key: cell.read("dedup_key", row.dedup_key.as_deref().map(DedupKey::parse).transpose())?,
            occurrence_count: row.occurrence_count,
            last_occurred_at: row.last_occurred_at,
            previous_anomaly_id: row.previous_anomaly_id.map(AnomalyId::from_uuid),
            sequence: row.sequence,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
