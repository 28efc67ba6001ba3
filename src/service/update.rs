//! Changing an alert.

use serde_json::{Map, Value};

use super::{Parsed, Service, alert_not_found, changes::ChangeOptions, fields::Fields};
use crate::{
    auth::Caller,
    domain::{
        AffectedEntities, AlertPatch, AnomalyId, Assignee, ChangedAlert, Command, Description, Disposition,
        DispositionReason, EntityId, EntityType, Idempotent, Invalid, Metadata, Scope, Severity, StatusKey,
        Title, text::parse_line,
    },
    error::{Error, Violation},
};

/// A request to change an alert; `None` stays as it is.
#[derive(Debug, Default)]
pub struct UpdateInput {
    /// The id of the alert.
    pub anomaly_id: String,
    /// A new title.
    pub title: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// Another status.
    pub status: Option<String>,
    /// Another severity; the unspecified one clears it.
    pub severity: Option<Parsed<Severity>>,
    /// The new assignee; empty means nobody.
    pub assigned_to: Option<String>,
    /// The new list of people that it is escalated to.
    pub escalated_to: Option<Vec<String>>,
    /// The new metadata.
    pub metadata: Option<Parsed<Map<String, Value>>>,
    /// The balances it is about now.
    pub affected_balances: Option<Vec<String>>,
    /// The transactions it is about now.
    pub affected_transactions: Option<Vec<String>>,
    /// The identities it is about now.
    pub affected_identities: Option<Vec<String>>,
    /// The outcome; the unspecified one takes the decision back.
    pub disposition: Option<Parsed<Disposition>>,
    /// Why that was decided.
    pub disposition_reason: Option<String>,
    /// Why, under which name, and from which version.
    pub options: ChangeOptions,
    /// The violations that the face found already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

impl Service {
    /// Changes what `input` gives about an alert; with nothing but a note, writes that into the history.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:write`; `ALERT_NOT_FOUND`, `ALERT_INVALID_ENTITY_ID`,
    /// `GEN_VALIDATION_ERROR`, `ALERT_UNKNOWN_STATUS`, `ALERT_VERSION_CONFLICT`, `ALERT_DISPOSITION_REQUIRED`,
    /// `ALERT_DEDUP_KEY_IN_USE`, `IDEMPOTENCY_KEY_REUSED`.
    pub async fn update_alert(
        &self,
        caller: &Caller,
        mut input: UpdateInput,
    ) -> Result<Idempotent<ChangedAlert>, Error> {
        caller.require(Scope::AlertsWrite)?;
        let mut fields = Fields::refused(std::mem::take(&mut input.refused));
        let id = AnomalyId::parse(&input.anomaly_id);
        let options = std::mem::take(&mut input.options).read(&mut fields);
        let patch = patch(input, fields)?;
        let id = id.map_err(|_| alert_not_found())?;
        self.change_alert(caller, Command::Update(id, Box::new(patch)), options).await
    }
}

fn patch(input: UpdateInput, mut fields: Fields) -> Result<AlertPatch, Error> {
    let patch = AlertPatch {
        title: input.title.and_then(|raw| fields.read("title", parse_line(&raw, Title::parse))),
        description: input.description.and_then(|raw| fields.read("description", Description::parse(&raw))),
        status: input.status.and_then(|raw| fields.read("status", StatusKey::parse(&raw))),
        severity: input.severity.and_then(|given| fields.read("severity", given)),
        assigned_to: input
            .assigned_to
            .and_then(|raw| fields.read("assigned_to", parse_line(&raw, Assignee::parse))),
        escalated_to: input.escalated_to.and_then(|raw| fields.read_people("escalated_to", &raw)),
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
        disposition: input.disposition.and_then(|given| fields.read("disposition", given)),
        disposition_reason: input
            .disposition_reason
            .and_then(|raw| fields.read("disposition_reason", DispositionReason::parse(&raw))),
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
