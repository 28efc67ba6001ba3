//! Answers as they are kept for repeats under an idempotency key: JSON text of the rows. An answer may have been written by
//! the version before: a field that is added to a row later needs a default here.

use serde_json::Value;

use super::rows::{alert::AlertRow, status::StatusRow};
use crate::{
    domain::{Alert, AlertStatus, ChangedAlert, Decision, Idempotency, Idempotent},
    store::{Inconsistent, StoreError},
};

/// An answer that can be replayed.
pub trait Replayable: Sized {
    /// The answer as JSON.
    fn to_json(&self) -> Result<Value, serde_json::Error>;

    /// The answer that was recorded. `present` is the alert that the change is about, as it stands.
    fn from_json(json: Value, present: Option<&Alert>) -> Result<Self, StoreError>;
}

impl Replayable for ChangedAlert {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value((AlertRow::from(&self.alert), self.is_deduplicated))
    }

    fn from_json(json: Value, present: Option<&Alert>) -> Result<Self, StoreError> {
        if json == Value::Null {
            let alert = present.cloned().ok_or_else(|| damaged("names an alert that is not there"))?;
            return Ok(Self { alert, is_deduplicated: false });
        }
        let (row, is_deduplicated): (AlertRow, _) =
            serde_json::from_value(json).map_err(|error| damaged(&error.to_string()))?;
        Ok(Self { alert: Alert::try_from(row)?, is_deduplicated })
    }
}

impl Replayable for AlertStatus {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(StatusRow::from(self))
    }

    fn from_json(json: Value, _: Option<&Alert>) -> Result<Self, StoreError> {
        let row: StatusRow = serde_json::from_value(json).map_err(|error| damaged(&error.to_string()))?;
        Ok(Self::try_from(row)?)
    }
}

impl Replayable for () {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        Ok(Value::Null)
    }

    fn from_json(_: Value, _: Option<&Alert>) -> Result<Self, StoreError> {
        Ok(())
    }
}

/// The text to record.
pub fn text_of(answer: &impl Replayable) -> Result<String, StoreError> {
    let json = answer.to_json().map_err(|error| StoreError::Internal(error.into()))?;
    Ok(json.to_string())
}

/// The text to record of a change of an alert. Of one that changed nothing, nothing is kept but that it was answered: many such
/// answers would be large and worth little. A repeat is answered with the alert as it stands.
pub fn text_of_change(decision: &Decision) -> Result<String, StoreError> {
    if decision.is_empty() { text_of(&()) } else { text_of(&decision.changed) }
}

/// The record of an idempotency key.
pub struct IdempotencyRecord {
    /// The digest of what was asked for.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub answer: String,
}

impl IdempotencyRecord {
    /// The record, where both columns are there.
    pub fn of(fingerprint: Option<Vec<u8>>, answer: Option<String>) -> Option<Self> {
        let (fingerprint, answer) = fingerprint.zip(answer)?;
        Some(Self { fingerprint, answer })
    }
}

/// The answer that a repeat gets, or `None` when nothing is recorded. `present` is the alert that the change is about, as it
/// stands.
///
/// # Errors
/// [`StoreError::KeyReused`] when the key names another change.
pub fn replay<T: Replayable>(
    asked: Option<&Idempotency>,
    memory: Option<IdempotencyRecord>,
    present: Option<&Alert>,
) -> Result<Option<Idempotent<T>>, StoreError> {
    let (Some(asked), Some(memory)) = (asked, memory) else { return Ok(None) };
    if memory.fingerprint != asked.fingerprint {
        return Err(StoreError::KeyReused);
    }
    let json = serde_json::from_str(&memory.answer).map_err(|error| damaged(&error.to_string()))?;
    Ok(Some(Idempotent::replayed(T::from_json(json, present)?)))
}

fn damaged(problem: &str) -> StoreError {
    let problem = problem.to_owned();
    Inconsistent { table: "idempotency_keys", column: "answer", row: "an answer".to_owned(), problem }.into()
}
