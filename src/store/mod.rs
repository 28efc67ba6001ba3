//! The interface to a database, and the promises that every backend keeps.

pub mod connect;
mod decision_input;
mod event_rows;
mod failure;
mod fair;
mod idempotency;
mod listing;
mod options;
pub mod postgres;
pub mod queue;
mod rows;
pub mod schema;
mod signature_rows;
pub mod sqlite;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{
    Alert, AlertChange, AlertEvent, AlertQuery, AlertStatus, AnomalyId, ApiKey, ChainHash, ChangeContext,
    ChangedAlert, Head, HeadSignature, Idempotent, KeyDigest, KeyId, NewStatus, Organization, OrganizationId,
    Page, PageSize, Refusal, StatusKey, StatusOrigin, StatusPatch, Timestamp,
};

/// The life of an idempotency key: a repeat within this time gets the first answer.
pub const IDEMPOTENCY_TTL: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// The lock under which one instance begins the histories of older alerts, for as long as this is kept.
pub type AdoptionLock = Box<dyn Send + Sync>;

/// A database behind the service.
///
/// Every method is one business transaction: it happens whole or not at all, and its answer is given after it is
/// durable. Every method is bounded by the organization it is given, and what belongs to another organization is
/// treated exactly as what does not exist. A future that is dropped before it is done leaves the transaction undone or
/// done, never half done.
///
/// Changes that arrive while a commit is on its way share the next one ([`queue`]). One that fails fails alone.
///
/// Beside the errors named at each method, every method can fail with [`StoreError::Unavailable`] (the database does not
/// answer, trying again may help), [`StoreError::Busy`] (too many calls wait) and [`StoreError::Internal`] (anything else; a
/// bug or a damaged database).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Changes one alert, or makes it, as [`crate::domain::decide()`] decides from what stands in the transaction: two
    /// changes at once both take effect where they touch different fields. What changes is written together with its
    /// event, whose position and hash follow the organization's head, and with the answer under its idempotency key.
    /// All changes of an organization happen one after the other, in the order of their positions.
    ///
    /// A repeat under an idempotency key that has not expired changes nothing and replays the first answer; repeats
    /// at the same moment wait for it.
    ///
    /// # Errors
    /// [`StoreError::Refused`]; [`StoreError::UnknownStatus`] also when the status is deleted meanwhile;
    /// [`StoreError::KeyReused`] when the idempotency key names another change. Nothing is recorded of a
    /// change that failed.
    async fn change_alert(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError>;

    /// Reads an alert, or `None` when the organization has no such alert.
    async fn alert(&self, organization: OrganizationId, id: AnomalyId) -> Result<Option<Alert>, StoreError>;

    /// Reads one page of alerts, ordered by `created_at` and then by id, which never change: an alert that stood when
    /// the first page was read, and matches all along, is on exactly one page. A page ends early where it would weigh
    /// more than [`crate::domain::page::MAX_PAGE_WEIGHT`]. The total is counted at about the same moment.
    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError>;

    /// Reads one page of the organization's feed: the events after `position`, in order, without gaps. A page ends early
    /// like one of alerts.
    async fn events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError>;

    /// Reads one page of an alert's history: the events after `sequence`, oldest first. It is empty where there is no
    /// such alert.
    async fn alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError>;

    /// Reads where the organization's feed ends, or `None` when there is no such organization.
    async fn head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError>;

    /// Reads one page of the signatures of the organization's heads: those of heads after `position`, in order. A head is signed
    /// where the store was opened with a key ([`connect::Options::signer`]), in the transaction that moves it; the signature
    /// covers the events that this transaction appends.
    async fn head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError>;

    /// The positions of the events that say they follow the event with this hash; at most one in a sound feed. Reads the
    /// whole feed: it is for finding out what is wrong with one that is not.
    async fn positions_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError>;

    /// Reads alerts in the order of their ids, after the id `after`: for passing over all of them.
    async fn alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError>;

    /// Some of the alerts that were made by a version without histories and have none yet, of any organization, after the
    /// one named.
    async fn alerts_to_adopt(
        &self,
        after: Option<(OrganizationId, AnomalyId)>,
    ) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError>;

    /// Returns true where the alert is one of them.
    async fn waits_for_adoption(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<bool, StoreError>;

    /// Notes that such alerts have histories now.
    async fn note_adopted(&self, adopted: Vec<(OrganizationId, AnomalyId)>) -> Result<(), StoreError>;

    /// The lock of the one instance that begins histories; `None` while another holds it. It ends when it is dropped, and
    /// also when the connection to the database is lost: a history that two instances begin is begun once.
    async fn lock_adoption(&self) -> Result<Option<AdoptionLock>, StoreError>;

    /// Deletes idempotency keys that have expired at `at`, some hundreds at a time, so that no writer waits
    /// long; tells how many.
    async fn expire_idempotency_keys(&self, at: Timestamp) -> Result<u64, StoreError>;

    /// Adds a status.
    ///
    /// Of this and the other changes of statuses, repeats of an intended change are treated as
    /// [`Self::change_alert`] treats them.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the organization has a status with that key, built-in or not.
    async fn create_status(
        &self,
        organization: OrganizationId,
        status: NewStatus,
        change: &ChangeContext,
    ) -> Result<Idempotent<AlertStatus>, StoreError>;

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
    ) -> Result<Idempotent<AlertStatus>, StoreError>;

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
    ) -> Result<Idempotent<()>, StoreError>;

    /// Adds an organization with its built-in statuses.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when there is an organization of that name.
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// Sets what an organization demands before closing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    async fn require_disposition(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, StoreError>;

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

    /// Reads the keys with these digests, of whichever organizations, in no order.
    async fn keys_by_digest(&self, digests: &[KeyDigest]) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key; one that is revoked already keeps its time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such key.
    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError>;

    /// Notes when keys were last used, each unless that was noted within the minute before. Never waits for somebody who
    /// holds a key's row: that key is left out.
    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError>;

    /// Makes the first key, and the organization named in `organization` unless there is one of that name, unless there
    /// is any key. Of several callers at once exactly one makes it. Answers the key as it was made, under the
    /// organization it belongs to, or `None` when there was one.
    async fn bootstrap(
        &self,
        organization: &Organization,
        key: &ApiKey,
    ) -> Result<Option<ApiKey>, StoreError>;

    /// Passes where the database answers and has the schema that this version knows.
    async fn check(&self) -> Result<(), StoreError>;

    /// Waits for what is being written, then closes all connections.
    async fn close(&self);
}

/// The failure of a method of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object of the call does not exist in that organization.
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
    /// The change is refused for the stored state.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The idempotency key names another change.
    #[error("the idempotency key names another change")]
    KeyReused,
    /// A stored row makes no sense.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// Too many changes wait for the next commit.
    #[error("too many changes are waiting")]
    Busy,
    /// Somebody else is at work on the same rows; a moment later the same may well succeed.
    #[error("the database is locked")]
    Locked(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database has given a statement up that took all of its time, or that an administrator has cancelled.
    #[error("the database has cancelled the statement")]
    Cancelled(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database does not answer.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error("unexpected database error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The failure of a change in an organization that does not exist: it has no status and no alert.
    fn no_organization(change: &AlertChange) -> Self {
        change.status().map_or(Self::NotFound, |status| Self::UnknownStatus(status.clone()))
    }

    /// The failure for each of `count` calls that it befell together.
    fn for_each<T>(self, count: usize) -> Vec<Result<T, Self>> {
        if count == 1 {
            return vec![Err(self)];
        }
        let error = Arc::new(self);
        (0..count).map(|_| Err(Self::shared(&error))).collect()
    }

    fn shared(error: &Arc<Self>) -> Self {
        match **error {
            Self::Unavailable(_) => Self::Unavailable(Arc::clone(error).into()),
            Self::Locked(_) => Self::Locked(Arc::clone(error).into()),
            Self::Cancelled(_) => Self::Cancelled(Arc::clone(error).into()),
            Self::Busy => Self::Busy,
            _ => Self::Internal(Arc::clone(error).into()),
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::UnknownStatus(key) => Self::UnknownStatus(key),
            other => Self::Refused(other),
        }
    }
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
    /// The problem.
    pub problem: String,
}
