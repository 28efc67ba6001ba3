//! Request bodies of REST. The same types are read from JSON and generate the OpenAPI document.
//!
//! Required fields are an `Option` too: the service reports a missing field together with all other violations.

use serde::{Deserialize, Deserializer};
use serde_json::Map;
use utoipa::ToSchema;

use super::{
    conditions::Conditions,
    metadata::MetadataBody,
    schema::{
        BalanceIdText, ColourWord, DispositionWord, EntityIdText, IdentityIdText, MetadataSchema, PersonText,
        SeverityWord, StatusClassWord, TransactionIdText, texts,
    },
};
use crate::{
    domain::{Disposition, Severity, StatusClass},
    service::{EscalateInput, FlagInput, NewStatusInput, Parsed, StatusUpdateInput, UpdateInput},
};

/// What to say about a flagged entity. `null` is as good as leaving a field out; unknown fields are ignored.
///
/// Text is Unicode, counted in characters. Line feed and tab are the only control characters allowed; CR LF is stored
/// as LF.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = FlagEntity, example = json!({"title": "Balance threshold exceeded", "description": "Account balance has exceeded the maximum allowed limit."}))]
pub struct FlagBody {
    /// What happened, in full.
    #[schema(
        required = true,
        nullable = false,
        min_length = 1,
        max_length = 10_000,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$"
    )]
    description: Option<String>,
    /// What happened, in a line. Default: empty.
    #[schema(
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$"
    )]
    title: Option<String>,
    /// Further entities that the alert is about, of any kind. Duplicates collapse; with the flagged one at most 100.
    #[schema(max_items = 100)]
    additional_entity_ids: Option<Vec<EntityIdText>>,
    /// The key of the status to start in, in any case. Default: `FLAGGED`.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_]*$")]
    status: Option<String>,
    /// How bad it is, in any case. Default: nobody said so.
    #[schema(value_type = Option<SeverityWord>)]
    severity: Option<String>,
    /// Who works on it. Default: the owner of the API key. Empty: nobody.
    #[schema(
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$"
    )]
    assigned_to: Option<String>,
    /// Whom to escalate it to at once. Duplicates collapse.
    #[schema(max_items = 50)]
    escalated_to: Option<Vec<PersonText>>,
    /// Whatever to keep beside it.
    #[schema(value_type = Option<MetadataSchema>)]
    metadata: Option<MetadataBody>,
    /// What repeats have in common. While an alert with that key is not closed, a further flag folds into it; once it is
    /// closed, a further flag makes a new alert that names it. Default: every flag makes an alert.
    #[schema(
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$",
        example = "limit:bln_20f02af6"
    )]
    dedup_key: Option<String>,
    /// Why, for the history. Default: empty.
    #[schema(max_length = 10_000, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    note: Option<String>,
}

impl FlagBody {
    /// Makes the service's input for the entity `entity_id`.
    pub fn into_input(self, entity_id: String, conditions: Conditions) -> FlagInput {
        FlagInput {
            entity_id,
            additional_entity_ids: texts(self.additional_entity_ids.unwrap_or_default()),
            title: self.title.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            status: self.status,
            severity: self.severity.map_or(Ok(Severity::Unspecified), |word| Severity::parse(&word)),
            assigned_to: self.assigned_to,
            escalated_to: texts(self.escalated_to.unwrap_or_default()),
            metadata: self.metadata.map_or_else(|| Ok(Map::new()), MetadataBody::into_given),
            dedup_key: self.dedup_key,
            options: conditions.with_note(self.note),
        }
    }
}

/// What to change about an alert. What is left out or `null` stays as it is, but `severity`, which `null` clears.
/// Lists and `metadata` are replaced whole. Fields that can't be changed, and unknown ones, are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAlert, example = json!({"status": "INVESTIGATING"}))]
pub struct UpdateBody {
    /// What happened, in a line.
    #[schema(
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$"
    )]
    title: Option<String>,
    /// What happened, in full.
    #[schema(min_length = 1, max_length = 10_000, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    description: Option<String>,
    /// The key of the status to move it to, in any case.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_]+$")]
    status: Option<String>,
    /// How bad it is, in any case. `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<SeverityWord>)]
    severity: Field<String>,
    /// Who works on it now. Empty: nobody.
    #[schema(
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$"
    )]
    assigned_to: Option<String>,
    /// Whom it is escalated to now. Duplicates collapse.
    #[schema(max_items = 50)]
    escalated_to: Option<Vec<PersonText>>,
    /// Whatever to keep beside it now.
    #[schema(value_type = Option<MetadataSchema>)]
    metadata: Option<MetadataBody>,
    /// The balances that it is about now. An alert names 1 to 100 entities over its three lists.
    #[schema(max_items = 100)]
    affected_balances: Option<Vec<BalanceIdText>>,
    /// The identities that it is about now.
    #[schema(max_items = 100)]
    affected_identities: Option<Vec<IdentityIdText>>,
    /// The transactions that it is about now.
    #[schema(max_items = 100)]
    affected_transactions: Option<Vec<TransactionIdText>>,
    /// What it turned out to be, in any case. `null` takes the decision back.
    #[serde(default)]
    #[schema(value_type = Option<DispositionWord>)]
    disposition: Field<String>,
    /// Why that was decided; stands only beside a disposition.
    #[schema(max_length = 10_000, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    disposition_reason: Option<String>,
    /// Why, for the history. Default: empty.
    #[schema(max_length = 10_000, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    note: Option<String>,
}

impl UpdateBody {
    /// Makes the service's input for the alert `anomaly_id`.
    pub fn into_input(self, anomaly_id: String, conditions: Conditions) -> UpdateInput {
        UpdateInput {
            anomaly_id,
            title: self.title,
            description: self.description,
            status: self.status,
            severity: self.severity.read(Severity::parse),
            assigned_to: self.assigned_to,
            escalated_to: self.escalated_to.map(texts),
            metadata: self.metadata.map(MetadataBody::into_given),
            affected_balances: self.affected_balances.map(texts),
            affected_transactions: self.affected_transactions.map(texts),
            affected_identities: self.affected_identities.map(texts),
            disposition: self.disposition.read(Disposition::parse),
            disposition_reason: self.disposition_reason,
            options: conditions.with_note(self.note),
            refused: Vec::new(),
        }
    }
}

/// Whom to escalate an alert to; unknown fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EscalateAlert, example = json!({"to": ["user_01K4EX0BRXHNNGCRVT2TPNK07W"], "note": "Above my limit."}))]
pub struct EscalateBody {
    /// The people; the first of them works on it from now on. Those that it was escalated to before stay, all together at
    /// most 50.
    #[schema(required = true, nullable = false, min_items = 1, max_items = 50)]
    to: Option<Vec<PersonText>>,
    /// Why, for the history. Default: empty.
    #[schema(max_length = 10_000, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    note: Option<String>,
}

impl EscalateBody {
    /// Makes the service's input for the alert `anomaly_id`.
    pub fn into_input(self, anomaly_id: String, conditions: Conditions) -> EscalateInput {
        let to = texts(self.to.unwrap_or_default());
        EscalateInput { anomaly_id, to, options: conditions.with_note(self.note) }
    }
}

/// A field of a JSON merge patch (RFC 7396), in which `null` differs from an absent field.
#[derive(Debug, Default)]
enum Field<T> {
    /// The field is left out: the value stays.
    #[default]
    Absent,
    /// The field is `null`: the value becomes the default.
    Null,
    /// The field has a value.
    Set(T),
}

impl Field<String> {
    /// Parses the new value; `null` gives the default.
    fn read<T: Default>(self, parse: impl Fn(&str) -> Parsed<T>) -> Option<Parsed<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(Ok(T::default())),
            Self::Set(word) => Some(parse(&word)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(value)?.map_or(Self::Null, Self::Set))
    }
}

/// The status to add. `null` is as good as leaving a field out; unknown fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAlertStatus, example = json!({"name": "Pending Review", "colour": "#3B82F6"}))]
pub struct NewStatusBody {
    /// What people read.
    #[schema(
        required = true,
        nullable = false,
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$"
    )]
    name: Option<String>,
    /// How it is shown, in any case.
    #[schema(required = true, value_type = ColourWord)]
    colour: Option<String>,
    /// What alerts refer to, read in any case. Default: derived from the name, upper case, every run of other
    /// characters than `A-Z 0-9` one `_`, none at the ends; a name that leaves nothing is refused.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_]*$")]
    key: Option<String>,
    /// What it means to queues and queries, in any case. Default: `in_progress`. Fixed afterwards.
    #[schema(value_type = Option<StatusClassWord>)]
    class: Option<String>,
}

impl NewStatusBody {
    /// Makes the service's input.
    pub fn into_input(self, conditions: Conditions) -> NewStatusInput {
        NewStatusInput {
            idempotency_key: conditions.into_idempotency_key(),
            name: self.name.unwrap_or_default(),
            colour: self.colour.unwrap_or_default(),
            key: self.key,
            class: self.class.as_deref().map(StatusClass::parse).transpose(),
        }
    }
}

/// The new name and colour of a status, both needed; unknown fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAlertStatus, example = json!({"name": "Second look", "colour": "#F59E0B"}))]
pub struct StatusBody {
    /// What people read.
    #[schema(
        required = true,
        nullable = false,
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F\xAD\u200B\u202A-\u202E\u2066-\u2069\uFEFF]*$"
    )]
    name: Option<String>,
    /// How it is shown, in any case.
    #[schema(required = true, value_type = ColourWord)]
    colour: Option<String>,
}

impl StatusBody {
    /// Makes the service's input for the status `key`.
    pub fn into_input(self, key: String, conditions: Conditions) -> StatusUpdateInput {
        StatusUpdateInput {
            key,
            idempotency_key: conditions.into_idempotency_key(),
            name: Some(self.name.unwrap_or_default()),
            colour: Some(self.colour.unwrap_or_default()),
            refused: Vec::new(),
        }
    }
}
