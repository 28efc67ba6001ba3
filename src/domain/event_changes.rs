//! The fields that an event changed, kept with their canonical text, which is hashed and stored.

use std::ops::Deref;

use serde_json::{Map, Value, json};

use super::{Invalid, canonical::canonical};

/// One field that an event changed.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The field's name in the contract.
    pub field: String,
    /// Its value before, as JSON carries it.
    pub before: Value,
    /// Its value after.
    pub after: Value,
}

impl FieldChange {
    /// The change as JSON carries it.
    pub fn to_json(&self) -> Value {
        json!({ "field": self.field, "before": self.before, "after": self.after })
    }

    fn from_json(mut change: Map<String, Value>) -> Result<Self, Invalid> {
        let mut take = |name: &str| {
            change.remove(name).ok_or_else(|| Invalid::new(format!("must have {name} in each change")))
        };
        let (field, before, after) = (take("field")?, take("before")?, take("after")?);
        match (field, change.is_empty()) {
            (Value::String(field), true) => Ok(Self { field, before, after }),
            _ => Err(Invalid::new("must have a field, before and after in each change, and nothing else")),
        }
    }
}

/// The changes of one event, in the order in which it tells them.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    list: Vec<FieldChange>,
    text: String,
}

impl Changes {
    /// Changes as they were decided.
    pub fn new(list: Vec<FieldChange>) -> Self {
        let text = canonical(&list.iter().map(FieldChange::to_json).collect());
        Self { list, text }
    }

    /// Reads changes as they were stored, to the letter.
    ///
    /// # Errors
    /// When it is no list of changes, or not in canonical JSON.
    pub fn parse(stored: &str) -> Result<Self, Invalid> {
        let invalid = |_| Invalid::new("must be a list of changes");
        let list: Vec<Map<String, Value>> = serde_json::from_str(stored).map_err(invalid)?;
        let changes = Self::new(list.into_iter().map(FieldChange::from_json).collect::<Result<_, _>>()?);
        if changes.text == stored { Ok(changes) } else { Err(Invalid::new("is not canonical JSON")) }
    }

    /// The changes in canonical JSON (RFC 8785), as stores keep them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The list itself.
    pub fn into_list(self) -> Vec<FieldChange> {
        self.list
    }
}

impl Deref for Changes {
    type Target = [FieldChange];

    fn deref(&self) -> &[FieldChange] {
        &self.list
    }
}
