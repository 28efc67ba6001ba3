//! Rows as any database gives them, on their way to domain types.

use std::fmt;

use serde_json::{Map, Value};
use tokio_stream::{Stream, StreamExt};
use uuid::Uuid;

use super::{Inconsistent, StoreError};
use crate::domain::{
    AffectedEntities, Alert, AlertStatus, AnomalyId, ApiKey, Assignee, Colour, Description, EntityId,
    EntityType, KeyDigest, KeyId, Metadata, Name, Organization, OrganizationId, Page, PageBuilder, PageSize,
    Person, Scope, Scopes, Severity, StatusClass, StatusKey, Timestamp, Title,
};

/// A row of `alerts`.
pub struct AlertRow {
    pub organization_id: Uuid,
    pub anomaly_id: Uuid,
    pub title: String,
    pub description: String,
    pub kind: i16,
    pub status: String,
    pub status_class: i16,
    pub severity: i16,
    pub assigned_to: String,
    pub escalated_to: Vec<String>,
    pub affected_balances: Vec<String>,
    pub affected_transactions: Vec<String>,
    pub affected_identities: Vec<String>,
    pub metadata: Map<String, Value>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The columns of an [`AlertRow`] of the table alias `a`, in the order in which both stores read them.
macro_rules! alert_columns {
    () => {
        "a.organization_id, a.anomaly_id, a.title, a.description, a.type, a.status, a.status_class, a.severity, \
         a.assigned_to, a.escalated_to, a.affected_balances, a.affected_transactions, a.affected_identities, \
         a.metadata, a.version, a.created_at, a.updated_at"
    };
}
pub(in crate::store) use alert_columns;

/// The columns of an [`AlertRow`], for statements that are composed.
pub const ALERT_COLUMNS: &str = alert_columns!();

/// Reads rows until the page is full; what follows is never held.
pub async fn take_page(
    mut rows: impl Stream<Item = Result<AlertRow, sqlx::Error>> + Unpin,
    size: PageSize,
) -> Result<Page<Alert>, StoreError> {
    let mut page = PageBuilder::new(size);
    while !page.is_full() {
        let Some(row) = rows.next().await else { break };
        page.push(Alert::try_from(row?)?);
    }
    Ok(page.finish())
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
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A row of `alert_statuses`.
pub struct StatusRow {
    pub organization_id: Uuid,
    pub key: String,
    pub name: String,
    pub colour: String,
    pub class: i16,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
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

/// A row of `organizations`.
pub struct OrganizationRow {
    pub organization_id: Uuid,
    pub name: String,
    pub created_at: Timestamp,
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = Inconsistent;

    fn try_from(row: OrganizationRow) -> Result<Self, Inconsistent> {
        let id = OrganizationId::from_uuid(row.organization_id);
        let cell = Cell { table: "organizations", row: &id };
        Ok(Self { id, name: cell.read("name", Name::parse(&row.name))?, created_at: row.created_at })
    }
}

/// A row of `api_keys`.
pub struct KeyRow {
    pub key_id: Uuid,
    pub organization_id: Uuid,
    pub name: String,
    pub owner: String,
    pub scopes: Vec<String>,
    pub prefix: String,
    pub digest: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = Inconsistent;

    fn try_from(row: KeyRow) -> Result<Self, Inconsistent> {
        let id = KeyId::from_uuid(row.key_id);
        let cell = Cell { table: "api_keys", row: &id };
        Ok(Self {
            id,
            organization_id: OrganizationId::from_uuid(row.organization_id),
            name: cell.read("name", Name::parse(&row.name))?,
            owner: cell.read("owner", Person::parse(&row.owner))?,
            scopes: Scopes::new(cell.list("scopes", &row.scopes, Scope::parse)?),
            prefix: row.prefix,
            digest: KeyDigest(cell.read("digest", row.digest.try_into().map_err(|_| "is not 32 bytes"))?),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

/// Where a value stands, for the error that says it makes no sense.
struct Cell<'a> {
    table: &'static str,
    row: &'a dyn fmt::Display,
}

impl Cell<'_> {
    fn read<T, E: fmt::Display>(
        &self,
        column: &'static str,
        parsed: Result<T, E>,
    ) -> Result<T, Inconsistent> {
        parsed.map_err(|problem| self.inconsistent(column, &problem))
    }

    fn known<T>(&self, column: &'static str, found: Option<T>, code: i16) -> Result<T, Inconsistent> {
        found.ok_or_else(|| self.inconsistent(column, &format_args!("has the unknown code {code}")))
    }

    fn list<T, E: fmt::Display>(
        &self,
        column: &'static str,
        raw: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Inconsistent> {
        raw.iter().map(|entry| self.read(column, parse(entry))).collect()
    }

    fn inconsistent(&self, column: &'static str, problem: &dyn fmt::Display) -> Inconsistent {
        Inconsistent { table: self.table, column, row: self.row.to_string(), problem: problem.to_string() }
    }
}
