//! Keeping the statuses that an organization adds.

use super::{Given, Service, fields::Fields, page_token};
use crate::{
    auth::Caller,
    domain::{
        AlertStatus, Colour, Name, NewStatus, OrganizationId, PageSize, Scope, StatusClass, StatusKey,
        StatusOrigin, StatusPatch,
    },
    error::{Error, Reason, Violation},
    store::StoreError,
};

/// A status that a caller wants added.
#[derive(Debug)]
pub struct NewStatusInput {
    /// What people read.
    pub name: String,
    /// How it is shown.
    pub colour: String,
    /// What alerts refer to; derived from the name when absent or empty.
    pub key: Option<String>,
    /// What it means; in progress when absent.
    pub class: Given<Option<StatusClass>>,
}

/// What a caller wants changed about a status; `None` stays as it is.
#[derive(Debug, Default)]
pub struct StatusUpdateInput {
    /// Which status, in any case.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// A new colour.
    pub colour: Option<String>,
    /// What the face refused already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// Which statuses a caller wants listed.
#[derive(Debug)]
pub struct ListStatusesInput {
    /// How many custom statuses a page holds; as many as a page can hold when absent.
    pub page_size: Given<Option<i64>>,
    /// Where to continue; empty for the first page.
    pub page_token: String,
    /// What the face refused already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// One page of custom statuses, and the built-in ones.
#[derive(Debug)]
pub struct ListedStatuses {
    /// The organization's own, in the order of their keys.
    pub custom: Vec<AlertStatus>,
    /// What to ask the next page with; empty for the last.
    pub next_page_token: String,
    /// What every organization has.
    pub builtin: Vec<AlertStatus>,
}

impl Service {
    /// Adds a status.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `statuses:write`; `GEN_VALIDATION_ERROR`,
    /// `STATUS_DUPLICATE_KEY`.
    pub async fn create_status(&self, caller: &Caller, input: NewStatusInput) -> Result<AlertStatus, Error> {
        caller.require(Scope::StatusesWrite)?;
        let status = new_status(input)?;
        let key = status.key.clone();
        let created = self.store.create_status(caller.organization_id(), status, &self.change(caller)).await;
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
    ) -> Result<AlertStatus, Error> {
        caller.require(Scope::StatusesWrite)?;
        let key = custom_key(&input.key)?;
        let mut fields = Fields::refused(input.refused);
        let patch = StatusPatch {
            name: input.name.and_then(|raw| fields.read("name", Name::parse(&raw))),
            colour: input.colour.and_then(|raw| fields.read("colour", Colour::parse(&raw))),
        };
        fields.finish()?;
        let updated =
            self.store.update_status(caller.organization_id(), &key, &patch, &self.change(caller)).await;
        updated.map_err(|error| status_error(error, &key))
    }

    /// Deletes a status that no alert uses.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `statuses:write`; `STATUS_NOT_FOUND`, `STATUS_BUILTIN`,
    /// `STATUS_IN_USE`.
    pub async fn delete_status(&self, caller: &Caller, key: &str) -> Result<(), Error> {
        caller.require(Scope::StatusesWrite)?;
        let key = custom_key(key)?;
        let deleted = self.store.delete_status(caller.organization_id(), &key, &self.change(caller)).await;
        deleted.map_err(|error| status_error(error, &key))
    }
}

fn new_status(input: NewStatusInput) -> Result<NewStatus, Error> {
    let mut fields = Fields::default();
    let name = fields.read("name", Name::parse(&input.name));
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
    Ok(NewStatus { key, name, colour, class: class.unwrap_or(StatusClass::InProgress) })
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
