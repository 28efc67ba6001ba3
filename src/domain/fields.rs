//! The fields of an alert as its history tells them: names and values of the contract's JSON.

use serde_json::{Value, json};

use super::{Actor, Alert, AlertPatch, FieldChange, NewAlert, clock::rfc3339, text::words};

/// The fields that can change, or that are given once, in the order in which an event lists them.
pub const FIELDS: [&str; 20] = [
    "type",
    "title",
    "description",
    "status",
    "status_class",
    "severity",
    "assigned_to",
    "escalated_to",
    "metadata",
    "affected_balances",
    "affected_transactions",
    "affected_identities",
    "disposition",
    "disposition_reason",
    "closed_at",
    "closed_by",
    "dedup_key",
    "occurrence_count",
    "last_occurred_at",
    "previous_anomaly_id",
];

impl Alert {
    /// The value of one of [`FIELDS`]; `null` for another.
    pub fn field(&self, name: &str) -> Value {
        match name {
            "type" => self.kind.as_str().into(),
            "title" => self.title.as_str().into(),
            "description" => self.description.as_str().into(),
            "status" => self.status.as_str().into(),
            "status_class" => self.status_class.as_str().into(),
            "severity" => self.severity.word().into(),
            "assigned_to" => self.assigned_to.as_str().into(),
            "escalated_to" => words(&self.escalated_to).into(),
            "metadata" => self.metadata.to_value(),
            "affected_balances" => words(&self.entities.balances).into(),
            "affected_transactions" => words(&self.entities.transactions).into(),
            "affected_identities" => words(&self.entities.identities).into(),
            "disposition" => self.disposition.word().into(),
            "disposition_reason" => self.disposition_reason.as_str().into(),
            "closed_at" => self.closed_at.map(rfc3339).into(),
            "closed_by" => self.closed_by.as_ref().map(Actor::to_json).into(),
            "dedup_key" => self.dedup_key.as_ref().map(super::DedupKey::as_str).into(),
            "occurrence_count" => self.occurrence_count.into(),
            "last_occurred_at" => rfc3339(self.last_occurred_at).into(),
            "previous_anomaly_id" => self.previous_anomaly_id.map(|id| id.to_string()).into(),
            _ => Value::Null,
        }
    }

    /// The fields that differ from `before`.
    pub fn changes_since(&self, before: &Self) -> Vec<FieldChange> {
        let change = |name: &&str| {
            let (before, after) = (before.field(name), self.field(name));
            (before != after).then(|| FieldChange { field: (*name).to_owned(), before, after })
        };
        FIELDS.iter().filter_map(change).collect()
    }

    /// The fields of an alert that was made just now: all that are not blank.
    pub fn changes_at_birth(&self) -> Vec<FieldChange> {
        let change = |name: &&str| {
            let after = self.field(name);
            let field = (*name).to_owned();
            (!is_blank(&after)).then_some(FieldChange { field, before: Value::Null, after })
        };
        FIELDS.iter().filter_map(change).collect()
    }
}

/// Returns true for a blank value: before an alert is made, all of its fields are blank.
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

impl NewAlert {
    /// The request without the fresh id: two that ask for the same are equal.
    pub fn to_json(&self) -> Value {
        // Named one by one, so that none that is added later is forgotten.
        let Self {
            organization_id: _,
            id: _,
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
        } = self;
        json!({
            "title": title.as_str(),
            "description": description.as_str(),
            "type": kind.as_str(),
            "entities": entities.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "status": status.as_str(),
            "severity": severity.word(),
            "assigned_to": assigned_to.as_str(),
            "escalated_to": words(escalated_to),
            "metadata": metadata.to_value(),
            "dedup_key": dedup_key.as_ref().map(super::DedupKey::as_str),
        })
    }
}

impl AlertPatch {
    /// The request: only the fields that were given.
    pub fn to_json(&self) -> Value {
        // Named one by one likewise.
        let Self {
            title,
            description,
            status,
            severity,
            assigned_to,
            escalated_to,
            metadata,
            affected_balances,
            affected_transactions,
            affected_identities,
            disposition,
            disposition_reason,
        } = self;
        let list = |list: &Option<Vec<super::EntityId>>| list.as_ref().map(|list| words(list).into());
        let given: [(&str, Option<Value>); 12] = [
            ("title", title.as_ref().map(|title| title.as_str().into())),
            ("description", description.as_ref().map(|text| text.as_str().into())),
            ("status", status.as_ref().map(|status| status.as_str().into())),
            ("severity", severity.map(|severity| severity.word().into())),
            ("assigned_to", assigned_to.as_ref().map(|person| person.as_str().into())),
            ("escalated_to", escalated_to.as_ref().map(|people| words(people).into())),
            ("metadata", metadata.as_ref().map(super::Metadata::to_value)),
            ("affected_balances", list(affected_balances)),
            ("affected_transactions", list(affected_transactions)),
            ("affected_identities", list(affected_identities)),
            ("disposition", disposition.map(|disposition| disposition.word().into())),
            ("disposition_reason", disposition_reason.as_ref().map(|text| text.as_str().into())),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    }
}
