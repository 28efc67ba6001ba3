//! Messages as the JSON that REST writes for the same, field by field.

mod resources;
mod words;

pub use resources::{alert, alerts, deleted, events, flagged, status, statuses};
pub use words::{
    disposition, entity_type, event_type, in_words, instant, metadata, object_text, severity, status_class,
};
