//! The words of the house as plain types: what exists can only be made valid, and nothing here does I/O.
//!
//! Constructors parse: they take what a caller sent and answer either the value in its one stored form or an
//! [`Invalid`] that says which rule it broke and how far.

pub mod alert;
pub mod api_key;
pub mod change;
pub mod clock;
pub mod entity;
pub mod id;
pub mod invalid;
pub mod metadata;
pub mod organization;
pub mod page;
pub mod query;
pub mod severity;
pub mod status;
pub mod text;

pub use alert::{Alert, AlertPatch, NewAlert};
pub use api_key::{ApiKey, KeyDigest, Scope, Scopes};
pub use change::{Actor, ChangeContext};
pub use clock::{Clock, IdSource, SystemClock, SystemIds, Timestamp};
pub use entity::{AffectedEntities, EntityId, EntityType};
pub use id::{AnomalyId, KeyId, OrganizationId};
pub use invalid::Invalid;
pub use metadata::Metadata;
pub use organization::Organization;
pub use page::{Cursor, Page, PageBuilder, PageSize};
pub use query::{AlertFilter, AlertQuery, SortOrder, TimeRange};
pub use severity::Severity;
pub use status::{AlertStatus, Colour, NewStatus, StatusClass, StatusKey, StatusOrigin, StatusPatch};
pub use text::{Assignee, Description, Name, Person, Text, Title};
