//! The rows by which alerts are found: one for each entity, and one for each person they are escalated to.

use uuid::Uuid;

use super::row::table;
use crate::domain::{Alert, Timestamp};

table! {
    /// A row of `alert_entities`.
    #[derive(PartialEq)]
    pub struct EntityRow("alert_entities") {
        organization_id: Uuid,
        created_at: Timestamp,
        anomaly_id: Uuid,
        entity_id: String,
    }
}

table! {
    /// A row of `alert_escalations`.
    #[derive(PartialEq)]
    pub struct EscalationRow("alert_escalations") {
        organization_id: Uuid,
        created_at: Timestamp,
        anomaly_id: Uuid,
        escalated_to: String,
    }
}

/// The index rows to add and to remove.
#[derive(Default)]
pub struct IndexChanges {
    /// Entities that are new.
    pub entities_in: Vec<EntityRow>,
    /// Entities that are gone.
    pub entities_out: Vec<EntityRow>,
    /// People who are new.
    pub people_in: Vec<EscalationRow>,
    /// People who are gone.
    pub people_out: Vec<EscalationRow>,
}

impl IndexChanges {
    /// Adds the difference that a change of an alert makes; `before` is `None` when it is made.
    pub fn add(&mut self, before: Option<&Alert>, after: &Alert) {
        let (old, new) = (before.map(entities).unwrap_or_default(), entities(after));
        difference(old, new, &mut self.entities_out, &mut self.entities_in);
        let (old, new) = (before.map(people).unwrap_or_default(), people(after));
        difference(old, new, &mut self.people_out, &mut self.people_in);
    }
}

fn entities(alert: &Alert) -> Vec<EntityRow> {
    let row = |entity: &crate::domain::EntityId| EntityRow {
        organization_id: alert.organization_id.uuid(),
        created_at: alert.created_at,
        anomaly_id: alert.id.uuid(),
        entity_id: entity.to_string(),
    };
    alert.entities.iter().map(row).collect()
}

fn people(alert: &Alert) -> Vec<EscalationRow> {
    let row = |person: &crate::domain::Person| EscalationRow {
        organization_id: alert.organization_id.uuid(),
        created_at: alert.created_at,
        anomaly_id: alert.id.uuid(),
        escalated_to: person.to_string(),
    };
    alert.escalated_to.iter().map(row).collect()
}

/// Adds the rows that only `old` has to `out`, and those that only `new` has to `into`.
fn difference<R: PartialEq>(old: Vec<R>, new: Vec<R>, out: &mut Vec<R>, into: &mut Vec<R>) {
    let mut kept: Vec<bool> = vec![false; new.len()];
    for row in old {
        match new.iter().position(|other| *other == row) {
            Some(place) => kept[place] = true,
            None => out.push(row),
        }
    }
    into.extend(new.into_iter().zip(kept).filter(|(_, is_kept)| !is_kept).map(|(row, _)| row));
}
