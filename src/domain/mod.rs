//! Domain types. Constructors validate, and nothing here does I/O.
//!
//! Constructors parse: they take what a caller sent and answer either the value in its one stored form or an
//! [`Invalid`] that says which rule it broke and how far.

pub mod actor;
pub mod alert;
pub mod alert_change;
pub mod api_key;
pub mod audit_key;
pub mod canonical;
pub mod change;
pub mod clock;
pub mod decide;
pub mod dedup;
pub mod disposition;
pub mod entity;
pub mod event;
mod event_changes;
pub mod fields;
pub mod head_signature;
pub mod id;
pub mod invalid;
pub mod metadata;
pub mod organization;
pub mod page;
pub mod query;
pub mod replay;
pub mod severity;
pub mod status;
pub mod text;

pub use actor::{Actor, ActorKind};
pub use alert::{Alert, AlertPatch, NewAlert};
pub use alert_change::{AlertChange, Command};
pub use api_key::{ApiKey, KeyDigest, Scope, Scopes};
pub use audit_key::{AuditKeyId, AuditPublicKey, HeadSigner};
pub use change::{ChangeContext, Idempotency, IdempotencyKey, Idempotent, Note};
pub use clock::{Clock, IdSource, SystemClock, SystemIds, Timestamp};
pub use decide::{ChangedAlert, Decision, DecisionInput, Refusal, decide};
pub use dedup::DedupKey;
pub use disposition::{Disposition, DispositionReason};
pub use entity::{AffectedEntities, EntityId, EntityType};
pub use event::{AlertEvent, ChainHash, EventType, Head};
pub use event_changes::{Changes, FieldChange};
pub use head_signature::HeadSignature;
pub use id::{AnomalyId, EventId, KeyId, OrganizationId, SourceId};
pub use invalid::Invalid;
pub use metadata::Metadata;
pub use organization::Organization;
pub use page::{Cursor, EstimatedSize, Page, PageBuilder, PageSize};
pub use query::{AlertFilter, AlertQuery, SortOrder, TimeRange};
pub use replay::{Disagreement, Replay};
pub use severity::Severity;
pub use status::{AlertStatus, Colour, NewStatus, StatusClass, StatusKey, StatusOrigin, StatusPatch};
pub use text::{Assignee, Description, Name, Person, Text, Title};
