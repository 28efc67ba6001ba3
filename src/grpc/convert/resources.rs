//! Resources as messages.

use prost_types::Timestamp as Proto;

use super::{
    super::pb::{self, actor::Other},
    metadata,
};
use crate::domain::{
    Actor, Alert, AlertEvent, AlertStatus, DedupKey, FieldChange, Person, Timestamp, text::words,
};

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
            disposition: alert.disposition.code().into(),
            disposition_reason: alert.disposition_reason.into_string(),
            closed_at: alert.closed_at.map(instant),
            closed_by: alert.closed_by.map(pb::Actor::from),
            dedup_key: alert.dedup_key.map(DedupKey::into_string).unwrap_or_default(),
            occurrence_count: alert.occurrence_count,
            last_occurred_at: Some(instant(alert.last_occurred_at)),
            previous_anomaly_id: alert.previous_anomaly_id.map(|id| id.to_string()).unwrap_or_default(),
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

impl From<Actor> for pb::Actor {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Key { id, name, on_behalf_of } => Self {
                key_id: id.to_string(),
                key_name: name.into_string(),
                on_behalf_of: on_behalf_of.map(Person::into_string),
                other: None,
            },
            Actor::Person { issuer, subject, name } => Self::other(Other::Person(pb::ActorPerson {
                issuer: issuer.into_string(),
                subject: subject.into_string(),
                name: name.into_string(),
            })),
            Actor::Source { id, name } => Self::other(Other::Source(pb::ActorSource {
                source_id: id.to_string(),
                name: name.into_string(),
            })),
            Actor::System { name } => {
                Self::other(Other::System(pb::ActorSystem { name: name.into_string() }))
            }
        }
    }
}

impl pb::Actor {
    /// An actor that is no API key.
    fn other(other: Other) -> Self {
        Self { other: Some(other), ..Self::default() }
    }
}

impl From<AlertEvent> for pb::AlertEvent {
    fn from(event: AlertEvent) -> Self {
        Self {
            event_id: event.id.to_string(),
            organization_id: event.organization_id.to_string(),
            position: event.position,
            anomaly_id: event.anomaly_id.to_string(),
            sequence: event.sequence,
            r#type: event.kind.code().into(),
            actor: Some(event.actor.into()),
            changes: event.changes.iter().map(pb::FieldChange::from).collect(),
            note: event.note.into_string(),
            request_id: event.request_id,
            idempotency_key: event.idempotency_key.map(|key| key.as_str().to_owned()),
            created_at: Some(instant(event.created_at)),
            previous_hash: event.previous_hash.to_string(),
            hash: event.hash.to_string(),
        }
    }
}

impl From<&FieldChange> for pb::FieldChange {
    fn from(change: &FieldChange) -> Self {
        Self {
            field: change.field.clone(),
            before: Some(metadata::value_from_json(&change.before)),
            after: Some(metadata::value_from_json(&change.after)),
        }
    }
}

fn instant(at: Timestamp) -> Proto {
    // Subsecond nanoseconds are below 2 × 10^9, which an i32 holds.
    Proto { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos().cast_signed() }
}
