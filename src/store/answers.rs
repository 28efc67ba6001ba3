//! Answers as they are remembered for repeats of an intended change: JSON text of the rows. An answer may have been written by
//! the version before: a field that is added to a row later needs a default here.

use serde_json::Value;

use super::{
    Inconsistent, StoreError,
    rows::{AlertRow, StatusRow},
};
use crate::domain::{Alert, AlertStatus, Answer, Changed, Idempotency};

/// An answer that can be remembered.
pub trait Remembered: Sized {
    /// The answer as JSON.
    fn to_json(&self) -> Result<Value, serde_json::Error>;

    /// The answer that was remembered.
    fn from_json(json: Value) -> Result<Self, StoreError>;
}

impl Remembered for Changed {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value((AlertRow::from(&self.alert), self.is_deduplicated))
    }

    fn from_json(json: Value) -> Result<Self, StoreError> {
        let (row, is_deduplicated): (AlertRow, _) =
            serde_json::from_value(json).map_err(|error| damaged(&error))?;
        Ok(Self { alert: Alert::try_from(row)?, is_deduplicated })
    }
}

impl Remembered for AlertStatus {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(StatusRow::from(self))
    }

    fn from_json(json: Value) -> Result<Self, StoreError> {
        let row: StatusRow = serde_json::from_value(json).map_err(|error| damaged(&error))?;
        Ok(Self::try_from(row)?)
    }
}

impl Remembered for () {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        Ok(Value::Null)
    }

    fn from_json(_: Value) -> Result<Self, StoreError> {
        Ok(())
    }
}

/// The text to remember.
pub fn text_of(answer: &impl Remembered) -> Result<String, StoreError> {
    let json = answer.to_json().map_err(|error| StoreError::Internal(error.into()))?;
    Ok(json.to_string())
}

/// What is remembered under an idempotency key.
pub struct Memory {
    /// The digest of what was asked for.
    pub fingerprint: Vec<u8>,
    /// What was answered.
    pub answer: String,
}

/// The answer that a repeat gets, or `None` when nothing is remembered.
///
/// # Errors
/// [`StoreError::KeyReused`] when another change is remembered.
pub fn recall<T: Remembered>(
    asked: Option<&Idempotency>,
    memory: Option<Memory>,
) -> Result<Option<Answer<T>>, StoreError> {
    let (Some(asked), Some(memory)) = (asked, memory) else { return Ok(None) };
    if memory.fingerprint != asked.fingerprint {
        return Err(StoreError::KeyReused);
    }
    let json = serde_json::from_str(&memory.answer).map_err(|error| damaged(&error))?;
    Ok(Some(Answer::replayed(T::from_json(json)?)))
}

fn damaged(error: &serde_json::Error) -> StoreError {
    let problem = error.to_string();
    Inconsistent { table: "idempotency_keys", column: "answer", row: "an answer".to_owned(), problem }.into()
}
