//! Rows as any database gives them, on their way to domain types.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Inconsistent, StoreError};
use crate::domain::{
    Actor, AffectedEntities, Alert, AlertStatus, AnomalyId, ApiKey, Assignee, Colour, DedupKey, Description,
    Disposition, DispositionReason, EntityId, EntityType, EstimatedSize, KeyDigest, KeyId, Metadata, Name,
    Organization, OrganizationId, Page, PageBuilder, PageSize, Person, Scope, Scopes, Severity, StatusClass,
    StatusKey, Timestamp, Title, text::words,
};

/// A row of `alerts`. Also how an alert is kept in the answer to a change that may be repeated.
#[derive(Serialize, Deserialize)]
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
    pub disposition: i16,
    pub disposition_reason: String,
    pub closed_at: Option<Timestamp>,
    pub closed_by: Option<Value>,
    pub dedup_key: Option<String>,
    pub occurrence_count: i64,
    pub last_occurred_at: Timestamp,
    pub previous_anomaly_id: Option<Uuid>,
    pub sequence: i64,
}

/// The columns of an [`AlertRow`] of the table alias `a`, in the order in which both stores read them.
macro_rules! alert_columns {
    () => {
        "a.organization_id, a.anomaly_id, a.title, a.description, a.type, a.status, a.status_class, a.severity, \
         a.assigned_to, a.escalated_to, a.affected_balances, a.affected_transactions, a.affected_identities, \
         a.metadata, a.version, a.created_at, a.updated_at, a.disposition, a.disposition_reason, a.closed_at, \
         a.closed_by, a.dedup_key, a.occurrence_count, a.last_occurred_at, a.previous_anomaly_id, a.sequence"
    };
}
pub(in crate::store) use alert_columns;

/// The columns of an [`AlertRow`], for statements that are composed.
pub const ALERT_COLUMNS: &str = alert_columns!();

/// A row that can't be decoded, with what it is.
pub fn undecodable(table: &'static str, row: impl fmt::Display, problem: impl fmt::Display) -> Inconsistent {
    Inconsistent { table, column: "a column", row: row.to_string(), problem: problem.to_string() }
}

/// Reads rows until the page is full; what follows is never held. Before a row that makes no sense the page ends, and the
/// next one fails.
pub struct PageReader<T> {
    page: PageBuilder<T>,
}

impl<T: EstimatedSize> PageReader<T> {
    /// A reader of one page.
    pub const fn new(size: PageSize) -> Self {
        Self { page: PageBuilder::new(size) }
    }

    /// Returns true where the page takes another row.
    pub const fn wants_more(&self) -> bool {
        !self.page.is_full()
    }

    /// Takes what came of reading a row.
    pub fn take<Row>(&mut self, row: Result<Row, StoreError>) -> Result<(), StoreError>
    where
        T: TryFrom<Row, Error = Inconsistent>,
    {
        match row.and_then(|row| Ok(T::try_from(row)?)) {
            Ok(entry) => self.page.push(entry),
            Err(StoreError::Inconsistent(_)) if self.page.end_early() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The page.
    pub fn finish(self) -> Page<T> {
        self.page.finish()
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
            closed_by: row.closed_by.map(|actor| cell.read("closed_by", parse_actor(&actor))).transpose()?,
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

/// Reads an actor as [`Actor::to_json`] writes it.
fn parse_actor(actor: &Value) -> Result<Actor, String> {
    let text = |name: &str| actor[name].as_str();
    let refused = || "is no actor".to_owned();
    let key_id = text("key_id").and_then(|id| KeyId::parse(id).ok()).ok_or_else(refused)?;
    let key_name = text("key_name").and_then(|name| Name::parse(name).ok()).ok_or_else(refused)?;
    let on_behalf_of = text("on_behalf_of").map(Person::parse).transpose().map_err(|_| refused())?;
    Ok(Actor { key_id, key_name, on_behalf_of })
}

/// A row of `alert_statuses`. Also how a status is kept in the answer to a change that may be repeated.
#[derive(Serialize, Deserialize)]
pub struct StatusRow {
    pub organization_id: Uuid,
    pub key: String,
    pub name: String,
    pub colour: String,
    pub class: i16,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&AlertStatus> for StatusRow {
    fn from(status: &AlertStatus) -> Self {
        Self {
            organization_id: status.organization_id.uuid(),
            key: status.key.as_str().to_owned(),
            name: status.name.as_str().to_owned(),
            colour: status.colour.as_str().to_owned(),
            class: status.class.code(),
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

/// A row of `organizations`.
pub struct OrganizationRow {
    pub organization_id: Uuid,
    pub name: String,
    pub require_disposition: bool,
    pub created_at: Timestamp,
}

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

/// The place of a value, for the error that says it makes no sense.
pub struct Cell<'a> {
    /// The table.
    pub table: &'static str,
    /// The row, by its id.
    pub row: &'a dyn fmt::Display,
}

impl Cell<'_> {
    /// The value, as far as it could be parsed.
    pub fn read<T, E: fmt::Display>(
        &self,
        column: &'static str,
        parsed: Result<T, E>,
    ) -> Result<T, Inconsistent> {
        parsed.map_err(|problem| self.inconsistent(column, &problem))
    }

    /// The value that a code stands for.
    pub fn known<T>(&self, column: &'static str, found: Option<T>, code: i16) -> Result<T, Inconsistent> {
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
