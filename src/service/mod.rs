//! The rules: one use case per file, called by both faces and by the command line.
//!
//! A use case takes what a face received, checks the caller's scope, parses the fields into domain types, and runs one
//! method of the store. Faces hand over words and numbers as they came; where a face has its own spelling for a value
//! (an enum's word, an instant), it hands over what came of reading it, so that every offending field is listed at once.

mod changes;
mod escalate;
pub mod fields;
mod flag;
mod history;
mod page_token;
mod query;
mod statuses;
mod update;

use std::sync::Arc;

use crate::{
    domain::{Clock, IdSource, Invalid, OrganizationId, PageSize, StatusKey, StatusOrigin, invalid::quoted},
    error::{Error, Reason},
    store::{Store, StoreError},
};

pub use changes::ChangeOptions;
pub use escalate::EscalateInput;
pub use flag::FlagInput;
pub use history::{AlertEventsInput, EventsInput, ListedEvents};
pub use query::{ListInput, ListedAlerts};
pub use statuses::{ListStatusesInput, ListedStatuses, NewStatusInput, StatusUpdateInput};
pub use update::UpdateInput;

/// The result of reading a value that a face spells its own way.
pub type Parsed<T> = Result<T, Invalid>;

/// The use cases over one store.
#[derive(Clone)]
pub struct Service {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Service {
    /// The use cases over `store`, telling time by `clock` and taking fresh ids from `ids`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, clock, ids }
    }

    /// Passes when calls can be served: the store answers and has the right schema.
    ///
    /// # Errors
    /// [`Reason::Unavailable`].
    pub async fn check_ready(&self) -> Result<(), Error> {
        self.store.check().await.map_err(Error::unavailable)
    }

    /// Closes the store: what is on its way is committed, and nothing is left beside a file.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The error for a status in `field` that the organization does not have, with those that it has.
    async fn unknown_status(&self, organization: OrganizationId, field: &str, key: &StatusKey) -> Error {
        let valid = match self.first_status_keys(organization).await {
            Ok(valid) => valid,
            Err(error) => return error,
        };
        // The valid ones are in the details alone: many of them would not fit the headers of a gRPC error twice.
        let given = quoted(key.as_str());
        let rule = Invalid::new(format!("must name a status that the organization has, names {given}"));
        Error::violation(Reason::UnknownStatus, field, rule)
            .with("status", key.as_str())
            .with("valid_statuses", valid)
    }

    /// The keys of the built-in statuses and of the first custom ones, as many as fit an error.
    async fn first_status_keys(&self, organization: OrganizationId) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        for origin in [StatusOrigin::Builtin, StatusOrigin::Custom] {
            let page = self.store.statuses(organization, origin, None, PageSize::DEFAULT).await?;
            keys.extend(page.items.into_iter().map(|status| status.key.to_string()));
        }
        Ok(keys)
    }
}

/// The error for an alert that the organization does not have, whatever the reason.
fn alert_not_found() -> Error {
    Error::new(Reason::AlertNotFound, "there is no such alert")
}

impl From<StoreError> for Error {
    /// The failures that no use case handles: the database is away, or something is wrong.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Locked(_) | StoreError::Cancelled(_) => {
                Self::unavailable(error)
            }
            StoreError::KeyReused => Self::new(
                Reason::IdempotencyKeyReused,
                "the same request id named another change within the last 24 hours: give each change its own",
            ),
            StoreError::Busy => Self::new(Reason::RateLimited, "too many calls are waiting, try again"),
            other => Self::internal(other),
        }
    }
}
