//! Messages as JSON, equal to that of REST field by field.

mod resources;
mod values;

pub use resources::{alert, alerts, deleted, events, flagged, status, statuses};
pub use values::{
    disposition, entity_type, event_type, instant, metadata, object_text, severity, status_class, value_text,
};
