//! Changing an alert.

use serde_json::{Map, Value};

use super::{Given, Service, alert_not_found, fields::Fields, flag::escalation};
use crate::{
    auth::Caller,
    domain::{
        AffectedEntities, Alert, AlertPatch, AnomalyId, Assignee, Description, EntityId, EntityType, Invalid,
        Metadata, Scope, Severity, StatusKey, Title,
    },
    error::{Error, Reason, Violation},
    store::StoreError,
};

/// What a caller wants changed; `None` stays as it is.
#[derive(Debug, Default)]
pub struct UpdateInput {
    /// Which alert.
    pub anomaly_id: String,
    /// A new title.
    pub title: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// Another status.
    pub status: Option<String>,
    /// Another severity; the unspecified one clears it.
    pub severity: Option<Given<Severity>>,
    /// Who works on it now; empty means nobody.
    pub assigned_to: Option<String>,
    /// Whom it is escalated to now.
    pub escalated_to: Option<Vec<String>>,
    /// What to keep beside it now.
    pub metadata: Option<Given<Map<String, Value>>>,
    /// The balances it is about now.
    pub affected_balances: Option<Vec<String>>,
    /// The transactions it is about now.
    pub affected_transactions: Option<Vec<String>>,
    /// The identities it is about now.
    pub affected_identities: Option<Vec<String>>,
    /// What the face refused already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

impl Service {
    /// Changes what `input` gives about an alert.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:write`; `ALERT_NOT_FOUND`, `ALERT_INVALID_ENTITY_ID`,
    /// `GEN_VALIDATION_ERROR`, `ALERT_UNKNOWN_STATUS`.
    pub async fn update_alert(&self, caller: &Caller, input: UpdateInput) -> Result<Alert, Error> {
        caller.require(Scope::AlertsWrite)?;
        let organization = caller.organization_id();
        let id = AnomalyId::parse(&input.anomaly_id);
        let patch = patch(input)?;
        let id = id.map_err(|_| alert_not_found())?;
        match self.store.update_alert(organization, id, &patch, &self.change(caller)).await {
            Ok(alert) => Ok(alert),
            Err(StoreError::Rule(rule)) => Err(wrong_entities(&patch, &rule)),
            Err(error) => Err(self.alert_error(organization, error).await),
        }
    }
}

/// The error for lists of entities that only together break a rule: it names each that was given.
fn wrong_entities(patch: &AlertPatch, rule: &Invalid) -> Error {
    let lists = [
        ("affected_balances", &patch.affected_balances),
        ("affected_transactions", &patch.affected_transactions),
        ("affected_identities", &patch.affected_identities),
    ];
    let given = lists.into_iter().filter(|(_, list)| list.is_some());
    let violations = given.map(|(field, _)| Violation { field: field.to_owned(), rule: rule.clone() });
    Error::violations(Reason::ValidationError, violations.collect())
}

fn patch(input: UpdateInput) -> Result<AlertPatch, Error> {
    let mut fields = Fields::refused(input.refused);
    let patch = AlertPatch {
        title: input.title.and_then(|raw| fields.read("title", Title::parse(&raw))),
        description: input.description.and_then(|raw| fields.read("description", Description::parse(&raw))),
        status: input.status.and_then(|raw| fields.read("status", StatusKey::parse(&raw))),
        severity: input.severity.and_then(|given| fields.read("severity", given)),
        assigned_to: input.assigned_to.and_then(|raw| fields.read("assigned_to", Assignee::parse(&raw))),
        escalated_to: input.escalated_to.and_then(|raw| fields.read("escalated_to", escalation(&raw))),
        metadata: input.metadata.and_then(|given| fields.read("metadata", given.and_then(Metadata::parse))),
        affected_balances: entities(
            &mut fields,
            "affected_balances",
            EntityType::Balance,
            input.affected_balances,
        ),
        affected_transactions: entities(
            &mut fields,
            "affected_transactions",
            EntityType::Transaction,
            input.affected_transactions,
        ),
        affected_identities: entities(
            &mut fields,
            "affected_identities",
            EntityType::Identity,
            input.affected_identities,
        ),
    };
    fields.finish()?;
    Ok(patch)
}

fn entities(
    fields: &mut Fields,
    field: &str,
    kind: EntityType,
    raw: Option<Vec<String>>,
) -> Option<Vec<EntityId>> {
    let parsed = fields.read_entities(field, &raw?, AffectedEntities::MAX)?;
    match parsed.iter().position(|entity| entity.kind() != kind) {
        None => Some(parsed),
        Some(index) => {
            let rule = format!("must be of kind {}, is {}", kind.as_str(), parsed[index]);
            fields.read_entity(field, Err(Invalid::new(rule).at(index)))
        }
    }
}
