//! Replaying an alert's history, to see whether its row is what the history made.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Alert, AlertEvent, EventType, FieldChange, Timestamp,
    dedup::next_recorded,
    fields::{FIELDS, is_blank},
};

/// The field with which an event tells how many entities of a repeat found no place; no field of the alert.
pub const ENTITIES_LEFT_OUT: &str = "entities_left_out";

/// The field with which the first event of an alert that is older than histories are tells the version it had.
pub const VERSION: &str = "version";
/// The field with which that event tells when it had last changed.
pub const UPDATED_AT: &str = "updated_at";

/// A contradiction between an alert's row and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// The event at this position says of this field another value before than the events before it after.
    Before(i64, String),
    /// The event at this position is not the next one of the alert's history.
    Sequence(i64),
    /// The history has fewer events than the row says.
    MissingEvents,
    /// The row's field is not what the history made of it.
    Row(String),
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Before(position, field) => {
                write!(f, "{field} at position {position} does not continue its history")
            }
            Self::Sequence(position) => write!(f, "the event at position {position} is not its next one"),
            Self::MissingEvents => f.write_str("events of it are missing"),
            Self::Row(field) => write!(f, "{field} is not what its history says"),
        }
    }
}

/// An alert's history, as far as it was replayed.
#[derive(Debug, Default)]
pub struct Replay {
    fields: BTreeMap<String, Value>,
    sequence: i64,
    changes: i64,
    recurrences: i64,
    created_at: Option<Timestamp>,
    changed_at: Option<Timestamp>,
}

impl Replay {
    /// Takes the next event of the alert.
    ///
    /// # Errors
    /// When it does not follow from the events before it.
    pub fn apply(&mut self, event: &AlertEvent) -> Result<(), Disagreement> {
        if event.sequence != self.sequence + 1 || (event.kind == EventType::Flagged) != (event.sequence == 1)
        {
            return Err(Disagreement::Sequence(event.position));
        }
        self.sequence = event.sequence;
        self.created_at.get_or_insert(event.created_at);
        self.recurrences += i64::from(event.kind == EventType::Recurred);
        if event.kind != EventType::Noted {
            self.changes += 1;
            self.changed_at = Some(event.created_at);
        }
        event.changes.iter().try_for_each(|change| self.apply_change(event, change))
    }

    fn apply_change(&mut self, event: &AlertEvent, change: &FieldChange) -> Result<(), Disagreement> {
        match change.field.as_str() {
            ENTITIES_LEFT_OUT => {}
            VERSION => self.changes = change.after.as_i64().unwrap_or_default(),
            UPDATED_AT => self.changed_at = instant(&change.after),
            _ => return self.apply_field(event, change),
        }
        Ok(())
    }

    fn apply_field(&mut self, event: &AlertEvent, change: &FieldChange) -> Result<(), Disagreement> {
        let known = self.fields.get(&change.field);
        let continues = match known {
            None => is_blank(&change.before),
            // The row counts alone between two events that tell it: history learns from the next one, within bounds.
            Some(told) if event.kind == EventType::Recurred && is_counted(&change.field) => {
                counts_on(told, change)
            }
            Some(told) => *told == change.before,
        };
        if !continues {
            return Err(Disagreement::Before(event.position, change.field.clone()));
        }
        if is_blank(&change.after) {
            self.fields.remove(&change.field);
        } else {
            self.fields.insert(change.field.clone(), change.after.clone());
        }
        Ok(())
    }

    /// Compares the row, as it stood after the last event replayed, with what the history made.
    ///
    /// # Errors
    /// The first field that differs.
    pub fn check(&self, alert: &Alert) -> Result<(), Disagreement> {
        let differs = |field: &str| Err(Disagreement::Row(field.to_owned()));
        if self.sequence != alert.sequence {
            return Err(Disagreement::MissingEvents);
        }
        for name in FIELDS.into_iter().filter(|name| !is_counted(name)) {
            let row = alert.field(name);
            let matches = self.fields.get(name).map_or_else(|| is_blank(&row), |told| *told == row);
            if !matches {
                return differs(name);
            }
        }
        if self.created_at != Some(alert.created_at) {
            return differs("created_at");
        }
        self.check_counted(alert)
    }

    /// Between two occurrences that history tells, the row counts alone: it may be ahead, up to the next one told.
    fn check_counted(&self, alert: &Alert) -> Result<(), Disagreement> {
        let differs = |field: &str| Err(Disagreement::Row(field.to_owned()));
        let told = self.fields.get("occurrence_count").and_then(Value::as_i64).unwrap_or_default();
        if alert.occurrence_count < told || alert.occurrence_count >= next_recorded(told) {
            return differs("occurrence_count");
        }
        let untold = alert.occurrence_count - 1 - self.recurrences;
        let last_told = self.fields.get("last_occurred_at").and_then(instant);
        let is_counted_on = alert.occurrence_count > told;
        let is_in_time = match last_told {
            Some(last) if is_counted_on => alert.last_occurred_at >= last,
            last => last == Some(alert.last_occurred_at),
        };
        if untold < 0 || !is_in_time {
            return differs("last_occurred_at");
        }
        if alert.version != self.changes + untold {
            return differs("version");
        }
        let changed_at = self.changed_at.max(Some(alert.last_occurred_at));
        if changed_at == Some(alert.updated_at) { Ok(()) } else { differs("updated_at") }
    }
}

/// Returns true where a count or a time of repeats goes on from the last recorded one: the count by one, from before the next that would
/// have been told; the time never backwards.
fn counts_on(told: &Value, change: &FieldChange) -> bool {
    if let (Some(told), Some(before), Some(after)) =
        (told.as_i64(), change.before.as_i64(), change.after.as_i64())
    {
        return (told..next_recorded(told)).contains(&before) && after == before + 1;
    }
    let instants = [told, &change.before, &change.after].map(instant);
    instants.iter().all(Option::is_some) && instants.is_sorted()
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn is_counted(field: &str) -> bool {
    matches!(field, "occurrence_count" | "last_occurred_at")
}
