//! Schemas of values in JSON: enums, ids and metadata, with their limits for the OpenAPI document.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Array, Object, Ref, RefOr, Schema,
        schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, Type},
    },
};

use crate::domain::{Colour, Disposition, EntityType, EventType, Severity, StatusClass};

/// What kind of ledger object was flagged.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = EntityType)]
pub enum EntityTypeWord {
    /// A balance: `bln_…` or `bal_…`.
    Balance,
    /// A transaction: `txn_…`.
    Transaction,
    /// An identity: `idt_…`.
    Identity,
}

impl From<EntityType> for EntityTypeWord {
    fn from(kind: EntityType) -> Self {
        match kind {
            EntityType::Balance => Self::Balance,
            EntityType::Transaction => Self::Transaction,
            EntityType::Identity => Self::Identity,
        }
    }
}

/// What a status means to queues and queries.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StatusClass)]
pub enum StatusClassWord {
    /// Not looked at yet.
    Open,
    /// Being worked on.
    InProgress,
    /// Decided.
    Closed,
}

impl From<StatusClass> for StatusClassWord {
    fn from(class: StatusClass) -> Self {
        match class {
            StatusClass::Open => Self::Open,
            StatusClass::InProgress => Self::InProgress,
            StatusClass::Closed => Self::Closed,
        }
    }
}

/// How bad an alert is, as its caller judges it.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Severity)]
pub enum SeverityWord {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl SeverityWord {
    /// Returns the word for a severity; `None` when it is unspecified.
    pub const fn of(severity: Severity) -> Option<Self> {
        match severity {
            Severity::Unspecified => None,
            Severity::Low => Some(Self::Low),
            Severity::Medium => Some(Self::Medium),
            Severity::High => Some(Self::High),
            Severity::Critical => Some(Self::Critical),
        }
    }
}

/// What an alert turned out to be.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = Disposition)]
pub enum DispositionWord {
    /// Real, and a problem.
    TruePositive,
    /// Not real.
    FalsePositive,
    /// Real, but legitimate.
    Benign,
    /// The subject of another alert.
    Duplicate,
    /// Undecidable.
    Inconclusive,
}

impl DispositionWord {
    /// Returns the word for a disposition; `None` when it is unspecified.
    pub const fn of(disposition: Disposition) -> Option<Self> {
        match disposition {
            Disposition::Unspecified => None,
            Disposition::TruePositive => Some(Self::TruePositive),
            Disposition::FalsePositive => Some(Self::FalsePositive),
            Disposition::Benign => Some(Self::Benign),
            Disposition::Duplicate => Some(Self::Duplicate),
            Disposition::Inconclusive => Some(Self::Inconclusive),
        }
    }
}

/// What an event tells.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = AlertEventType)]
pub enum EventTypeWord {
    /// The first event of an alert.
    Flagged,
    /// A change of fields without an event type of their own.
    Updated,
    /// A move to another status, neither into nor out of the class closed.
    StatusChanged,
    /// An assignment to another person.
    Assigned,
    /// An escalation to people.
    Escalated,
    /// A note without a change.
    Noted,
    /// A repeat that folded into the alert.
    Recurred,
    /// A move into a status of the class closed.
    Closed,
    /// A move out of the class closed.
    Reopened,
}

impl From<EventType> for EventTypeWord {
    fn from(kind: EventType) -> Self {
        match kind {
            EventType::Flagged => Self::Flagged,
            EventType::Updated => Self::Updated,
            EventType::StatusChanged => Self::StatusChanged,
            EventType::Assigned => Self::Assigned,
            EventType::Escalated => Self::Escalated,
            EventType::Noted => Self::Noted,
            EventType::Recurred => Self::Recurred,
            EventType::Closed => Self::Closed,
            EventType::Reopened => Self::Reopened,
        }
    }
}

/// Turns a list into texts.
pub fn texts<T: Into<String>>(list: Vec<T>) -> Vec<String> {
    list.into_iter().map(Into::into).collect()
}

/// Declares a type for texts in a list, so that the OpenAPI document can state their limits.
macro_rules! listed_text {
    ($(#[$meta:meta])* $name:ident) => {
        // The derive comes first, because `$meta` holds its helper attributes.
        #[derive(Debug, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        $(#[$meta])*
        pub struct $name(pub String);

        impl From<$name> for String {
            fn from(listed: $name) -> Self {
                listed.0
            }
        }
    };
}

listed_text! {
    /// The id of a ledger object of any kind.
    #[schema(as = EntityId, max_length = 68, pattern = "^(bln|bal|txn|idt)_[A-Za-z0-9-]{1,64}$", example = "bln_20f02af6")]
    EntityIdText
}
listed_text! {
    /// The id of a balance.
    #[schema(as = BalanceId, max_length = 68, pattern = "^(bln|bal)_[A-Za-z0-9-]{1,64}$", example = "bln_20f02af6")]
    BalanceIdText
}
listed_text! {
    /// The id of a transaction.
    #[schema(as = TransactionId, max_length = 68, pattern = "^txn_[A-Za-z0-9-]{1,64}$", example = "txn_6d1b1a4c")]
    TransactionIdText
}
listed_text! {
    /// The id of an identity.
    #[schema(as = IdentityId, max_length = 68, pattern = "^idt_[A-Za-z0-9-]{1,64}$", example = "idt_4f0a2f0c")]
    IdentityIdText
}
listed_text! {
    /// The key of a status, in any case.
    #[schema(as = StatusKey, max_length = 64, pattern = "^[A-Za-z0-9_]+$", example = "FLAGGED")]
    StatusKeyText
}
listed_text! {
    /// Somebody: a name, an id, an address; whatever the organization knows people by.
    #[schema(as = Person, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$", example = "user_01K4EX0BRXHNNGCRVT2TPNK07W")]
    PersonText
}

/// The schema of a colour: exactly the documented ones.
pub enum ColourWord {}

impl PartialSchema for ColourWord {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .enum_values(Some(Colour::ALLOWED))
            .description(Some("One of the allowed colours."))
            .into()
    }
}

impl ToSchema for ColourWord {
    fn name() -> Cow<'static, str> {
        "Colour".into()
    }
}

/// The schema of `metadata`: a JSON object whose numbers and strings can be kept exactly.
pub enum MetadataSchema {}

impl PartialSchema for MetadataSchema {
    fn schema() -> RefOr<Schema> {
        let description =
            "Whatever the caller keeps beside the alert: at most 16 KiB as compact JSON, 16 levels deep.";
        metadata_object(Some(description)).into()
    }
}

impl ToSchema for MetadataSchema {
    fn name() -> Cow<'static, str> {
        "Metadata".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((MetadataValueSchema::name().into(), MetadataValueSchema::schema()));
    }
}

/// The schema of a value within `metadata`.
enum MetadataValueSchema {}

impl PartialSchema for MetadataValueSchema {
    fn schema() -> RefOr<Schema> {
        /// Whole numbers are exact up to here in every JSON reader (RFC 7493 §2.2), and all numbers beyond are whole.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        let text =
            Object::builder().schema_type(Type::String).pattern(Some(r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$"));
        let number = Object::builder().schema_type(Type::Number).minimum(Some(-EXACT)).maximum(Some(EXACT));
        AnyOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Null))
            .item(ObjectBuilder::new().schema_type(Type::Boolean))
            .item(number)
            .item(text)
            .item(Array::new(Self::reference()))
            .item(metadata_object(None))
            .description(Some("Any JSON value; whole numbers within ±(2^53 − 1)."))
            .into()
    }
}

impl ToSchema for MetadataValueSchema {
    fn name() -> Cow<'static, str> {
        "MetadataValue".into()
    }
}

impl MetadataValueSchema {
    fn reference() -> RefOr<Schema> {
        RefOr::Ref(Ref::from_schema_name(Self::name()))
    }
}

fn metadata_object(description: Option<&str>) -> Object {
    let keys = Object::builder().schema_type(Type::String).pattern(Some(r"^[^\x00-\x1F\x7F-\x9F]*$")).build();
    Object::builder()
        .schema_type(Type::Object)
        .description(description)
        .property_names(Some(Schema::Object(keys)))
        .additional_properties(Some(AdditionalProperties::RefOr(MetadataValueSchema::reference())))
        .build()
}
