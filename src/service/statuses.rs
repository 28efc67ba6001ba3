//! Keeping the statuses that an organization adds.

use serde_json::json;

use super::{
    Parsed, Service,
    changes::{idempotency, read_idempotency_key},
    fields::Fields,
    page_token,
};
use crate::{
    auth::Caller,
    domain::{
        AlertStatus, ChangeContext, Colour, IdempotencyKey, Idempotent, Name, NewStatus, Note,
        OrganizationId, PageSize, Scope, StatusClass, StatusKey, StatusOrigin, StatusPatch, text::parse_line,
    },
    error::{Error, Reason, Violation},
    store::StoreError,
};

/// A status that a caller wants added.
#[derive(Debug)]
pub struct NewStatusInput {
    /// The name that people read.
    pub name: String,
    /// How it is shown.
    pub colour: String,
    /// The key that alerts refer to; derived from the name when absent or empty.
    pub key: Option<String>,
    /// The class; in progress when absent.
    pub class: Parsed<Option<StatusClass>>,
    /// The idempotency key; none when absent or empty.
    pub idempotency_key: Option<String>,
}

/// A request to change a status; `None` stays as it is.
#[derive(Debug, Default)]
pub struct StatusUpdateInput {
    /// The key of the status, in any case.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// A new colour.
    pub colour: Option<String>,
    /// The idempotency key; none when absent or empty.
    pub idempotency_key: Option<String>,
    /// The violations that the face found already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// A request for a list of statuses.
#[derive(Debug)]
pub struct ListStatusesInput {
    /// How many custom statuses a page holds; as many as a page can hold when absent.
    pub page_size: Parsed<Option<i64>>,
    /// The page to continue at; empty for the first one.
    pub page_token: String,
    /// The violations that the face found already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// One page of custom statuses, and the built-in ones.
#[derive(Debug)]
pub struct ListedStatuses {
    /// The organization's own, in the order of their keys.
    pub custom: Vec<AlertStatus>,
    /// The token of the next page; empty for the last one.
    pub next_page_token: String,
    /// The built-in statuses, which every organization has.
    pub builtin: Vec<AlertStatus>,
}

impl Service {
    /// Adds a status.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `statuses:write`; `GEN_VALIDATION_ERROR`,
    /// `STATUS_DUPLICATE_KEY`.
    pub async fn create_status(
        &self,
        caller: &Caller,
        input: NewStatusInput,
    ) -> Result<Idempotent<AlertStatus>, Error> {
        caller.require(Scope::StatusesWrite)?;
        let (status, idempotency_key) = new_status(input)?;
        let key = status.key.clone();
        let asked =
            [status.key.as_str(), status.name.as_str(), status.colour.as_str(), status.class.as_str()];
        let context = self.status_context(caller, idempotency_key, "create_status", &asked.map(Some));
        let created = self.store.create_status(caller.organization_id(), status, &context).await;
        created.map_err(|error| match error {
            StoreError::Duplicate => {
                Error::new(Reason::StatusDuplicateKey, format!("there is a status {key} already"))
                    .with("key", key.as_str())
            }
            other => other.into(),
        })
    }

    /// Reads the organization's statuses.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:read`; `GEN_VALIDATION_ERROR`,
    /// `GEN_INVALID_PAGE_TOKEN`.
    pub async fn list_statuses(
        &self,
        caller: &Caller,
        input: ListStatusesInput,
    ) -> Result<ListedStatuses, Error> {
        caller.require(Scope::AlertsRead)?;
        let organization = caller.organization_id();
        let mut fields = Fields::refused(input.refused);
        let size = input.page_size.and_then(|raw| PageSize::parse(raw, PageSize::MAX));
        let size = fields.read("page_size", size).unwrap_or(PageSize::MAX);
        fields.finish()?;
        let listing = describe(organization);
        let after = continue_after(&listing, &input.page_token)?;
        let custom = self.store.statuses(organization, StatusOrigin::Custom, after.as_ref(), size).await?;
        let builtin = self.store.statuses(organization, StatusOrigin::Builtin, None, PageSize::MAX).await?;
        let last = custom.items.last().filter(|_| custom.has_more);
        let next_page_token =
            last.map(|status| page_token::seal(&listing, status.key.as_str().as_bytes())).unwrap_or_default();
        Ok(ListedStatuses { custom: custom.items, next_page_token, builtin: builtin.items })
    }

    /// Changes the name or the colour of a status.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `statuses:write`; `STATUS_NOT_FOUND`, `STATUS_BUILTIN`,
    /// `GEN_VALIDATION_ERROR`.
    pub async fn update_status(
        &self,
        caller: &Caller,
        input: StatusUpdateInput,
    ) -> Result<Idempotent<AlertStatus>, Error> {
        caller.require(Scope::StatusesWrite)?;
        let key = custom_key(&input.key)?;
        let mut fields = Fields::refused(input.refused);
        let idempotency_key = read_idempotency_key(&mut fields, input.idempotency_key.as_deref());
        let patch = StatusPatch {
            name: input.name.and_then(|raw| fields.read("name", parse_line(&raw, Name::parse))),
            colour: input.colour.and_then(|raw| fields.read("colour", Colour::parse(&raw))),
        };
        fields.finish()?;
        let (name, colour) = (patch.name.as_ref().map(Name::as_str), patch.colour.map(Colour::as_str));
        let asked = [Some(key.as_str()), name, colour];
        let context = self.status_context(caller, idempotency_key, "update_status", &asked);
        let updated = self.store.update_status(caller.organization_id(), &key, &patch, &context).await;
        updated.map_err(|error| status_error(error, &key))
    }

    /// Deletes a status that no alert uses.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `statuses:write`; `STATUS_NOT_FOUND`, `STATUS_BUILTIN`,
    /// `STATUS_IN_USE`.
    pub async fn delete_status(
        &self,
        caller: &Caller,
        key: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Idempotent<()>, Error> {
        caller.require(Scope::StatusesWrite)?;
        let key = custom_key(key)?;
        let mut fields = Fields::default();
        let idempotency_key = read_idempotency_key(&mut fields, idempotency_key);
        fields.finish()?;
        let context = self.status_context(caller, idempotency_key, "delete_status", &[Some(key.as_str())]);
        let deleted = self.store.delete_status(caller.organization_id(), &key, &context).await;
        deleted.map_err(|error| status_error(error, &key))
    }

    /// The options of a change of a status: the operation, and what was asked for.
    fn status_context(
        &self,
        caller: &Caller,
        idempotency_key: Option<IdempotencyKey>,
        operation: &str,
        asked: &[Option<&str>],
    ) -> ChangeContext {
        let idempotency = idempotency_key.map(|key| idempotency(key, &json!([operation, asked])));
        self.context(caller, Note::default(), idempotency)
    }
}

fn new_status(input: NewStatusInput) -> Result<(NewStatus, Option<IdempotencyKey>), Error> {
    let mut fields = Fields::default();
    let idempotency_key = read_idempotency_key(&mut fields, input.idempotency_key.as_deref());
    let name = fields.read("name", parse_line(&input.name, Name::parse));
    let colour = fields.read("colour", Colour::parse(&input.colour));
    let class = fields.read("class", input.class);
    let key = match (input.key.filter(|key| !key.is_empty()), &name) {
        (Some(key), _) => fields.read("key", StatusKey::parse(&key)),
        (None, Some(name)) => fields.read("name", StatusKey::derive(name)),
        (None, None) => None,
    };
    let (Some(key), Some(name), Some(colour), Some(class)) = (key, name, colour, class) else {
        return Err(fields.into_error());
    };
    fields.finish()?;
    Ok((NewStatus { key, name, colour, class: class.unwrap_or(StatusClass::InProgress) }, idempotency_key))
}

/// The key of a status that may be changed. A malformed key is one that no status has.
fn custom_key(raw: &str) -> Result<StatusKey, Error> {
    let key = StatusKey::parse(raw).map_err(|_| status_not_found())?;
    match key.origin() {
        StatusOrigin::Custom => Ok(key),
        StatusOrigin::Builtin => {
            let message = format!("{key} is built in and can't be changed or deleted");
            Err(Error::new(Reason::StatusBuiltin, message).with("key", key.as_str()))
        }
    }
}

fn status_not_found() -> Error {
    Error::new(Reason::StatusNotFound, "there is no such status")
}

fn status_error(error: StoreError, key: &StatusKey) -> Error {
    match error {
        StoreError::NotFound => status_not_found(),
        StoreError::InUse(alerts) => {
            // The documented text, to the letter.
            let message = format!(
                "cannot delete status: {alerts} alert(s) use this status - reassign them to another status first"
            );
            Error::new(Reason::StatusInUse, message).with("key", key.as_str()).with("alerts", alerts)
        }
        other => other.into(),
    }
}

fn describe(organization: OrganizationId) -> String {
    format!("statuses of {organization}")
}

fn continue_after(list: &str, token: &str) -> Result<Option<StatusKey>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let position = page_token::open(list, token)?;
    let key = std::str::from_utf8(&position).ok().and_then(|raw| StatusKey::parse(raw).ok());
    key.map(Some).ok_or_else(page_token::refused)
}
