//! What the service asks of a database, and the promises every backend keeps.

pub mod connect;
mod failure;
mod listing;
pub mod postgres;
mod rows;
pub mod schema;
pub mod sqlite;
mod statements;

use async_trait::async_trait;

use crate::domain::{
    Alert, AlertPatch, AlertQuery, AlertStatus, AnomalyId, ApiKey, ChangeContext, Invalid, KeyDigest, KeyId,
    NewAlert, NewStatus, Organization, OrganizationId, Page, PageSize, StatusKey, StatusOrigin, StatusPatch,
    Timestamp,
};

/// A database behind the service.
///
/// Every method is one business transaction: it happens whole or not at all, and its answer is given after it is
/// durable. Every method is bounded by the organization it is given, and what belongs to another organization is
/// treated exactly as what does not exist. A future that is dropped before it is done leaves the transaction undone or
/// done, never half done.
///
/// Beside the errors named at each method, every method can fail with [`StoreError::Unavailable`] (the database does not
/// answer, trying again may help) and [`StoreError::Internal`] (anything else; a bug or a damaged database).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes an alert with version 1, made and last changed at `change.at`.
    ///
    /// # Errors
    /// [`StoreError::UnknownStatus`] when the organization has no such status, also when it is deleted meanwhile.
    async fn flag(&self, alert: NewAlert, change: &ChangeContext) -> Result<Alert, StoreError>;

    /// Applies `patch` to the alert as it stands in the transaction, so that two updates at once both take effect
    /// where they touch different fields. Writes only when something changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::UnknownStatus`] when the organization has no such status, also when it
    /// is deleted meanwhile; [`StoreError::Rule`] when the patch makes an alert that breaks a rule.
    async fn update_alert(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        patch: &AlertPatch,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError>;

    /// Reads an alert, or `None` when the organization has no such alert.
    async fn alert(&self, organization: OrganizationId, id: AnomalyId) -> Result<Option<Alert>, StoreError>;

    /// Reads one page of alerts, ordered by `created_at` and then by id, which never change: an alert that stood when
    /// the first page was read, and matches all along, is on exactly one page. A page ends early where it would weigh
    /// more than [`crate::domain::PageBuilder::MAX_WEIGHT`]. The total is counted at about the same moment.
    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError>;

    /// Adds a status.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the organization has a status with that key, built-in or not.
    async fn create_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<AlertStatus, StoreError>;

    /// Reads one page of the organization's statuses of one origin, in the byte order of their keys, after the key
    /// `after`.
    async fn statuses(
        &self,
        organization: OrganizationId,
        origin: StatusOrigin,
        after: Option<&StatusKey>,
        size: PageSize,
    ) -> Result<Page<AlertStatus>, StoreError>;

    /// Those of `keys` that the organization has no status for, in the order given.
    async fn missing_statuses(
        &self,
        organization: OrganizationId,
        keys: &[StatusKey],
    ) -> Result<Vec<StatusKey>, StoreError>;

    /// Changes the name or the colour of a status. Writes only when something changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn update_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        patch: &StatusPatch,
        change: &ChangeContext,
    ) -> Result<AlertStatus, StoreError>;

    /// Deletes a status that no alert uses.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InUse`] with the number of alerts that use it. Whatever moves to the
    /// status at the same moment either makes this fail or fails itself.
    async fn delete_status(
        &self,
        organization: OrganizationId,
        key: &StatusKey,
        change: &ChangeContext,
    ) -> Result<(), StoreError>;

    /// Adds an organization with its built-in statuses.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when there is an organization of that name.
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// Reads all organizations, oldest first.
    async fn organizations(&self) -> Result<Vec<Organization>, StoreError>;

    /// Adds an API key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such organization; [`StoreError::Duplicate`] when there is a key with
    /// that digest.
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// Reads the keys of an organization, or of all, revoked and expired ones included, oldest first.
    async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError>;

    /// Reads the key with that digest, of whichever organization.
    async fn key_by_digest(&self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError>;

    /// Revokes a key; one that is revoked already keeps its time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such key.
    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError>;

    /// Notes that a key was used at `at`, unless it was noted within the minute before.
    async fn touch_key(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError>;

    /// Makes the first key, and the organization named in `organization` unless there is one of that name, unless there
    /// is any key. Of several callers at once exactly one makes it. Answers the key as it was made, under the
    /// organization it belongs to, or `None` when there was one.
    async fn bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError>;

    /// Whether the database answers and has the schema that this version knows.
    async fn check(&self) -> Result<(), StoreError>;

    /// Waits for what is being written, then closes all connections.
    async fn close(&self);
}

/// What a store method failed with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What the call is about does not exist in that organization.
    #[error("not found")]
    NotFound,
    /// The organization has no status with that key.
    #[error("no status {0}")]
    UnknownStatus(StatusKey),
    /// Something with that key or name exists already.
    #[error("exists already")]
    Duplicate,
    /// So many alerts use the status.
    #[error("{0} alert(s) use the status")]
    InUse(i64),
    /// The change would make something that breaks a rule which only the stored state tells.
    #[error("{0}")]
    Rule(Invalid),
    /// The database does not answer.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error("unexpected database error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A stored row that makes no sense: somebody else wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("inconsistent row: {table}.{column} of {row}: {problem}")]
pub struct Inconsistent {
    /// The table it stands in.
    pub table: &'static str,
    /// The column at fault.
    pub column: &'static str,
    /// The row, by its id.
    pub row: String,
    /// What is wrong with it.
    pub problem: String,
}

impl From<Inconsistent> for StoreError {
    fn from(inconsistent: Inconsistent) -> Self {
        Self::Internal(Box::new(inconsistent))
    }
}
