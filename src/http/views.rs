//! Responses of REST. The same types serialise and generate the OpenAPI document.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::schema::{
    BalanceIdText, DispositionWord, EntityTypeWord, IdentityIdText, MetadataSchema, PersonText, SeverityWord,
    StatusClassWord, TransactionIdText,
};
use crate::{
    domain::{Actor, Alert, AlertStatus, ChangedAlert, Colour, DedupKey, EntityId, clock::rfc3339},
    service::{ListedAlerts, ListedStatuses},
};

/// The record that flagging a ledger entity makes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    /// The alert's id, `ano_` and a UUIDv7, so ids sort by time.
    #[schema(example = "ano_019b8a38-0fd1-7289-86d1-bc76aa17a510")]
    anomaly_id: String,
    /// What happened, in a line; may be empty.
    title: String,
    /// What happened, in full.
    description: String,
    /// The kind of the entity that was flagged.
    #[serde(rename = "type")]
    kind: EntityTypeWord,
    /// Who works on it; empty means nobody.
    assigned_to: String,
    /// Whom it was escalated to.
    escalated_to: Vec<PersonText>,
    /// The key of the status that it stands in.
    #[schema(example = "FLAGGED")]
    status: String,
    /// When it was made: UTC, microseconds.
    #[schema(format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    created_at: String,
    /// When anything about it last changed: UTC, microseconds.
    #[schema(format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    updated_at: String,
    /// The balances that it is about.
    affected_balances: Vec<BalanceIdText>,
    /// The identities that it is about.
    affected_identities: Vec<IdentityIdText>,
    /// The transactions that it is about.
    affected_transactions: Vec<TransactionIdText>,
    /// The organization that it belongs to.
    organization_id: String,
    /// The class of `status`.
    status_class: StatusClassWord,
    /// How bad it is; `null` when nobody said so.
    #[schema(required = true)]
    severity: Option<SeverityWord>,
    /// What callers keep beside it.
    #[schema(value_type = MetadataSchema)]
    metadata: Map<String, Value>,
    /// 1 at creation, one more with every change; also the `ETag`.
    #[schema(minimum = 1)]
    version: i64,
    /// What it turned out to be; `null` while none is decided.
    #[schema(required = true)]
    disposition: Option<DispositionWord>,
    /// Why that was decided; may be empty.
    disposition_reason: String,
    /// When it was closed: UTC, microseconds; `null` while it is not.
    #[schema(required = true, format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    closed_at: Option<String>,
    /// Who closed it; `null` while it is not closed.
    #[schema(required = true, value_type = Option<ActorView>)]
    closed_by: Option<ActorJson>,
    /// What its repeats have in common; `null` when it was flagged without.
    #[schema(required = true, example = "limit:bln_20f02af6")]
    dedup_key: Option<String>,
    /// How often it was flagged: 1, and one more for every repeat that folded into it.
    #[schema(minimum = 1)]
    occurrence_count: i64,
    /// When it was last flagged: UTC, microseconds.
    #[schema(format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    last_occurred_at: String,
    /// The alert before it with the same `dedup_key`; `null` when there is none.
    #[schema(required = true)]
    previous_anomaly_id: Option<String>,
}

/// Who did something: the API key, and on whose behalf.
#[derive(ToSchema)]
#[schema(as = Actor)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub struct ActorView {
    /// The key's id.
    #[schema(example = "key_019b8a38-0fd1-7289-86d1-bc76aa17a510")]
    key_id: String,
    /// What the key was called at the time.
    #[schema(example = "payments")]
    key_name: String,
    /// On whose behalf, as the caller claimed in `X-Redflag-Actor`; `null` when nothing was said.
    #[schema(required = true, example = "ana@example.com")]
    on_behalf_of: Option<String>,
}

/// An actor in JSON. Authors other than API keys, which no call makes yet, have a `kind` and fields of their own.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ActorJson(Value);

impl From<Actor> for ActorJson {
    fn from(actor: Actor) -> Self {
        Self(actor.to_json())
    }
}

/// The alert that was flagged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlaggedAlert)]
pub struct FlaggedView {
    #[serde(flatten)]
    alert: AlertView,
    /// Whether the flag folded into an alert that stood already.
    deduplicated: bool,
}

impl From<ChangedAlert> for FlaggedView {
    fn from(changed: ChangedAlert) -> Self {
        Self { alert: changed.alert.into(), deduplicated: changed.is_deduplicated }
    }
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            anomaly_id: alert.id.to_string(),
            title: alert.title.into_string(),
            description: alert.description.into_string(),
            kind: alert.kind.into(),
            assigned_to: alert.assigned_to.into_string(),
            escalated_to: listed(alert.escalated_to, |person| PersonText(person.into_string())),
            status: alert.status.to_string(),
            created_at: rfc3339(alert.created_at),
            updated_at: rfc3339(alert.updated_at),
            affected_balances: ids(&alert.entities.balances, BalanceIdText),
            affected_identities: ids(&alert.entities.identities, IdentityIdText),
            affected_transactions: ids(&alert.entities.transactions, TransactionIdText),
            organization_id: alert.organization_id.to_string(),
            status_class: alert.status_class.into(),
            severity: SeverityWord::of(alert.severity),
            metadata: alert.metadata.as_map().clone(),
            version: alert.version,
            disposition: DispositionWord::of(alert.disposition),
            disposition_reason: alert.disposition_reason.into_string(),
            closed_at: alert.closed_at.map(rfc3339),
            closed_by: alert.closed_by.map(ActorJson::from),
            dedup_key: alert.dedup_key.map(DedupKey::into_string),
            occurrence_count: alert.occurrence_count,
            last_occurred_at: rfc3339(alert.last_occurred_at),
            previous_anomaly_id: alert.previous_anomaly_id.map(|id| id.to_string()),
        }
    }
}

/// One page of alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertList)]
pub struct AlertListView {
    /// The alerts of the page, in order.
    data: Vec<AlertView>,
    /// What to ask the next page with; empty: this was the last.
    next_page_token: String,
    /// How many alerts match over all pages; there when `include_total=true` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    total: Option<i64>,
}

impl From<ListedAlerts> for AlertListView {
    fn from(listed_alerts: ListedAlerts) -> Self {
        Self {
            data: listed(listed_alerts.alerts, AlertView::from),
            next_page_token: listed_alerts.next_page_token,
            total: listed_alerts.total,
        }
    }
}

/// Where an alert can stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertStatus)]
pub struct StatusView {
    /// The organization that it belongs to.
    organization_id: String,
    /// What alerts refer to; unique in the organization and fixed after creation.
    #[schema(example = "PENDING_REVIEW")]
    key: String,
    /// What people read.
    #[schema(example = "Pending Review")]
    name: String,
    /// How it is shown, one of the allowed colours.
    #[schema(example = "#3B82F6")]
    colour: &'static str,
    /// When it was made: UTC, microseconds.
    #[schema(format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    created_at: String,
    /// When its name or colour last changed: UTC, microseconds.
    #[schema(format = DateTime, example = "2026-01-15T08:22:37.557630Z")]
    updated_at: String,
    /// What it means; fixed after creation.
    class: StatusClassWord,
}

impl From<AlertStatus> for StatusView {
    fn from(status: AlertStatus) -> Self {
        Self {
            organization_id: status.organization_id.to_string(),
            key: status.key.to_string(),
            name: status.name.into_string(),
            colour: status.colour.as_str(),
            created_at: rfc3339(status.created_at),
            updated_at: rfc3339(status.updated_at),
            class: status.class.into(),
        }
    }
}

/// One page of the organization's own statuses, and what every organization has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertStatusList)]
pub struct StatusListView {
    /// The organization's own statuses, in the order of their keys.
    data: Vec<StatusView>,
    /// The statuses that every organization has, on every page.
    builtin: Vec<StatusView>,
    /// The colours that a status may have.
    allowed_colours: &'static [&'static str],
    /// What to ask the next page with; empty: this was the last.
    next_page_token: String,
}

impl From<ListedStatuses> for StatusListView {
    fn from(statuses: ListedStatuses) -> Self {
        Self {
            data: listed(statuses.custom, StatusView::from),
            builtin: listed(statuses.builtin, StatusView::from),
            allowed_colours: &Colour::ALLOWED,
            next_page_token: statuses.next_page_token,
        }
    }
}

/// Says that a status is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatusDeleted)]
pub struct DeletedView {
    /// Always `Status deleted`.
    #[schema(example = "Status deleted")]
    pub message: &'static str,
}

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// `ok` for a process that runs, `ready` for one that serves calls.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// Views every item of a list.
pub fn listed<T, V>(list: Vec<T>, view: impl Fn(T) -> V) -> Vec<V> {
    list.into_iter().map(view).collect()
}

fn ids<V>(list: &[EntityId], view: impl Fn(String) -> V) -> Vec<V> {
    list.iter().map(|id| view(id.to_string())).collect()
}
