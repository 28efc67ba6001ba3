//! Common parts of all changes: their options, idempotency, and the errors of refused ones.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Service, alert_not_found, fields::Fields};
use crate::{
    auth::Caller,
    domain::{
        AlertChange, AlertPatch, ChangeContext, ChangedAlert, Command, Idempotency, IdempotencyKey,
        Idempotent, Invalid, Note, OrganizationId, Refusal, canonical,
    },
    error::{Error, Reason, Violation},
    store::StoreError,
};

/// The options of any change of an alert, as the caller gave them.
#[derive(Debug, Default)]
pub struct ChangeOptions {
    /// Why; may be empty.
    pub note: String,
    /// The idempotency key; none when absent or empty.
    pub idempotency_key: Option<String>,
    /// The versions that the alert may have; any when absent.
    pub expected_versions: Option<Vec<i64>>,
}

/// The same, once read.
pub struct ParsedChangeOptions {
    note: Note,
    idempotency_key: Option<IdempotencyKey>,
    expected_versions: Option<Vec<i64>>,
}

impl ChangeOptions {
    /// Reads all of them.
    pub fn read(self, fields: &mut Fields) -> ParsedChangeOptions {
        let versions = self.expected_versions;
        let is_version = |version: &i64| *version > 0;
        if let Some(version) = versions.iter().flatten().find(|version| !is_version(version)) {
            let rule = format!("must be at least 1, or 0 for any version, is {version}");
            fields.read::<()>("expected_version", Err(Invalid::new(rule)));
        }
        ParsedChangeOptions {
            note: fields.read("note", Note::parse(&self.note)).unwrap_or_default(),
            idempotency_key: read_idempotency_key(fields, self.idempotency_key.as_deref()),
            expected_versions: versions,
        }
    }
}

/// Reads what a caller calls an intended change.
pub fn read_idempotency_key(fields: &mut Fields, raw: Option<&str>) -> Option<IdempotencyKey> {
    let parsed = raw.filter(|raw| !raw.is_empty()).map(IdempotencyKey::parse).transpose();
    fields.read("request_id", parsed).flatten()
}

impl Service {
    /// Changes an alert.
    pub(super) async fn change_alert(
        &self,
        caller: &Caller,
        command: Command,
        options: ParsedChangeOptions,
    ) -> Result<Idempotent<ChangedAlert>, Error> {
        let ParsedChangeOptions { note, idempotency_key, expected_versions } = options;
        let asked = || json!([asked(&command), note.as_str(), expected_versions]);
        let idempotency = idempotency_key.map(|key| idempotency(key, &asked()));
        let context = self.context(caller, note, idempotency);
        let organization_id = caller.organization_id();
        let change = AlertChange { organization_id, command, expected_versions, context };
        match (self.change_adopted(&change).await, &change.command) {
            (Ok(answer), _) => Ok(answer),
            (Err(StoreError::Refused(Refusal::Entities(rule))), Command::Update(_, patch)) => {
                Err(wrong_entities(patch, &rule))
            }
            (Err(error), _) => Err(self.alert_error(organization_id, error).await),
        }
    }

    /// Makes a change; of an alert that is older than histories are, once its own is begun.
    async fn change_adopted(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError> {
        match self.store.change_alert(change).await {
            Err(StoreError::Refused(Refusal::NotAdopted(id))) => {
                let at = self.clock.now();
                let adoption = AlertChange::adopt(change.organization_id, id, at, self.ids.next(at));
                self.store.change_alert(&adoption).await?;
                self.store.change_alert(change).await
            }
            made => made,
        }
    }

    /// The options of a change.
    pub(super) fn context(
        &self,
        caller: &Caller,
        note: Note,
        idempotency: Option<Idempotency>,
    ) -> ChangeContext {
        let at = self.clock.now();
        ChangeContext {
            actor: caller.actor(),
            at,
            trace_id: caller.trace_id().to_owned(),
            note,
            event_id: self.ids.next(at),
            idempotency,
        }
    }

    /// The error for a failed change of an alert.
    async fn alert_error(&self, organization: OrganizationId, error: StoreError) -> Error {
        match error {
            StoreError::NotFound => alert_not_found(),
            StoreError::UnknownStatus(key) => self.unknown_status(organization, "status", &key).await,
            StoreError::Refused(Refusal::VersionConflict(version)) => {
                let message =
                    format!("somebody else changed the alert first: it is at version {version} now");
                Error::new(Reason::VersionConflict, message).with("current_version", version)
            }
            StoreError::Refused(Refusal::DispositionRequired) => {
                let message =
                    "this organization closes no alert without a disposition and a disposition_reason";
                Error::new(Reason::DispositionRequired, message)
            }
            StoreError::Refused(Refusal::Rival(id)) => {
                let message = format!("the alert {id} is open and has the same dedup_key: close it first");
                Error::new(Reason::DedupKeyInUse, message).with("anomaly_id", id.to_string())
            }
            StoreError::Refused(Refusal::Field(field, rule)) => {
                Error::violation(Reason::ValidationError, field, rule)
            }
            other => other.into(),
        }
    }
}

/// The error for lists of entities that only together break a rule: it names each that was given.
fn wrong_entities(patch: &AlertPatch, rule: &Invalid) -> Error {
    let lists = [
        ("affected_balances", &patch.affected_balances),
        ("affected_transactions", &patch.affected_transactions),
        ("affected_identities", &patch.affected_identities),
    ];
    let given = lists.into_iter().filter(|(_, list)| list.is_some());
    let violations = given.map(|(field, _)| Violation { field: field.to_owned(), rule: rule.clone() });
    Error::violations(Reason::ValidationError, violations.collect())
}

/// The intended change that a caller has named `key`, which asks for `asked`.
pub fn idempotency(key: IdempotencyKey, asked: &Value) -> Idempotency {
    Idempotency { key, fingerprint: Sha256::digest(canonical::canonical(asked)).into() }
}

/// The request of a command, of which its fingerprint is taken.
fn asked(command: &Command) -> Value {
    match command {
        Command::Flag(alert) => json!(["flag", alert.to_json()]),
        Command::Update(id, patch) => json!(["update", id.to_string(), patch.to_json()]),
        Command::Adopt(id) => json!(["adopt", id.to_string()]),
        Command::Escalate(id, to) => json!(["escalate", id.to_string(), crate::domain::text::words(to)]),
    }
}
