//! Flagging an entity.

use serde_json::{Map, Value};

use super::{Parsed, Service, changes::ChangeOptions, fields::Fields};
use crate::{
    auth::Caller,
    domain::{
        AffectedEntities, AnomalyId, Assignee, ChangedAlert, Command, DedupKey, Description, EntityId,
        Idempotent, Metadata, NewAlert, Scope, Severity, StatusKey, Title, text::parse_line,
    },
    error::Error,
};

/// A request to flag an entity.
#[derive(Debug)]
pub struct FlagInput {
    /// The entity to flag.
    pub entity_id: String,
    /// Further entities that the alert is about.
    pub additional_entity_ids: Vec<String>,
    /// A summary, in a line.
    pub title: String,
    /// The full description.
    pub description: String,
    /// The first status; `FLAGGED` when absent or empty.
    pub status: Option<String>,
    /// How bad it is.
    pub severity: Parsed<Severity>,
    /// The assignee; the key's owner when absent, nobody when empty.
    pub assigned_to: Option<String>,
    /// The people to escalate it to at once.
    pub escalated_to: Vec<String>,
    /// Metadata.
    pub metadata: Parsed<Map<String, Value>>,
    /// The key that repeats share; none when absent or empty.
    pub dedup_key: Option<String>,
    /// Why, and under which name.
    pub options: ChangeOptions,
}

impl Service {
    /// Flags an entity: makes an alert, or folds into the open one with the same deduplication key.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:write`; `ALERT_INVALID_ENTITY_ID`,
    /// `GEN_VALIDATION_ERROR`, `ALERT_UNKNOWN_STATUS`, `ALERT_DISPOSITION_REQUIRED`, `IDEMPOTENCY_KEY_REUSED`.
    pub async fn flag_entity(
        &self,
        caller: &Caller,
        mut input: FlagInput,
    ) -> Result<Idempotent<ChangedAlert>, Error> {
        caller.require(Scope::AlertsWrite)?;
        let mut fields = Fields::default();
        let options = std::mem::take(&mut input.options).read(&mut fields);
        let alert = self.new_alert(caller, input, fields)?;
        self.change_alert(caller, Command::Flag(Box::new(alert)), options).await
    }

    fn new_alert(&self, caller: &Caller, input: FlagInput, mut fields: Fields) -> Result<NewAlert, Error> {
        let flagged = fields.read_entity("entity_id", EntityId::parse(&input.entity_id));
        // One place is taken by the flagged entity, unless it is named again among the others.
        let others = fields.read_entities(
            "additional_entity_ids",
            &input.additional_entity_ids,
            AffectedEntities::MAX,
        );
        let title = fields.read("title", parse_line(&input.title, Title::parse));
        let description = fields.read("description", Description::parse(&input.description));
        let status = fields.read("status", starting_status(input.status.as_deref()));
        let severity = fields.read("severity", input.severity);
        let assigned_to = fields.read("assigned_to", assignee(caller, input.assigned_to.as_deref()));
        let escalated_to = fields.read_people("escalated_to", &input.escalated_to);
        let metadata = fields.read("metadata", input.metadata.and_then(Metadata::parse));
        let dedup_key = input
            .dedup_key
            .as_deref()
            .filter(|raw| !raw.is_empty())
            .map(|raw| parse_line(raw, DedupKey::parse));
        let dedup_key = fields.read("dedup_key", dedup_key.transpose());
        let kind = flagged.as_ref().map(EntityId::kind);
        let entities = AffectedEntities::sort_in(flagged.into_iter().chain(others.into_iter().flatten()));
        if kind.is_some() {
            fields.read("additional_entity_ids", entities.check_size());
        }
        let (
            Some(kind),
            Some(title),
            Some(description),
            Some(status),
            Some(severity),
            Some(assigned_to),
            Some(escalated_to),
            Some(metadata),
            Some(dedup_key),
        ) = (kind, title, description, status, severity, assigned_to, escalated_to, metadata, dedup_key)
        else {
            return Err(fields.into_error());
        };
        fields.finish()?;
        Ok(NewAlert {
            organization_id: caller.organization_id(),
            id: AnomalyId::from_uuid(self.ids.next(self.clock.now())),
            title,
            description,
            kind,
            entities,
            status,
            severity,
            assigned_to,
            escalated_to,
            metadata,
            dedup_key,
        })
    }
}

fn starting_status(raw: Option<&str>) -> Parsed<StatusKey> {
    raw.filter(|raw| !raw.is_empty()).map_or_else(|| Ok(StatusKey::flagged()), StatusKey::parse)
}

fn assignee(caller: &Caller, raw: Option<&str>) -> Parsed<Assignee> {
    raw.map_or_else(|| Ok(caller.principal().owner.clone().into()), |raw| parse_line(raw, Assignee::parse))
}
