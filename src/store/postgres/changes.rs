//! Changing alerts, each change with its event and under its idempotency key.
//!
//! A batch takes two round trips: one statement reads all that its changes are decided from, in one snapshot; another saves
//! what was decided, where the heads still have the revisions that were read. Every change moves the revision, so where it
//! has not moved, nothing has changed. Plain flags take the second alone, where this instance made the change before them
//! (`heads.rs`). Where another instance came in between, the changes of that organization are decided once more, aside and
//! under the lock of its head's row (`aside.rs`).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sqlx::{PgExecutor, PgPool};

use super::{
    PostgresStore,
    aside::Aside,
    begin,
    heads::Heads,
    lanes::{self, Serve, Served},
    memory,
    plan::Plan,
    save::save,
    sql,
};
use crate::{
    domain::{AlertChange, AnomalyId, Answer, Changed, DedupKey, Head, OrganizationId, StatusKey},
    store::{
        REMEMBERED, StoreError,
        failure::Failure,
        known::{KnownRow, Reading, is_plain_flag},
    },
};

/// What comes of a change.
pub type Outcome = Result<Answer<Changed>, StoreError>;
/// A change that may wait in several places.
pub type Change = Arc<AlertChange>;

impl PostgresStore {
    pub(super) async fn change(&self, change: &AlertChange) -> Outcome {
        lanes::ask(self.lane(change.organization_id), Arc::new(change.clone())).await
    }
}

/// Changes alerts, a batch at a time.
#[derive(Clone)]
pub struct Changer {
    pool: PgPool,
    heads: Arc<Heads>,
    pub(super) aside: Arc<Aside>,
    /// How long one attempt to do something aside may take.
    pub(super) limit: Duration,
}

impl Serve<Change, Answer<Changed>> for Changer {
    const IS_PATIENT: bool = false;

    async fn serve(&self, changes: Vec<Change>) -> Result<Vec<Served<Answer<Changed>>>, StoreError> {
        let is_aside = self.aside.must_follow(&changes);
        let free = changes.iter().zip(&is_aside).filter(|(_, is_aside)| !**is_aside);
        let free: Vec<_> = free.map(|(change, _)| Arc::clone(change)).collect();
        let mut outcomes = match self.attempt(&free).await {
            Ok(outcomes) => outcomes.into_iter(),
            // The status is gone, or the idempotency key is there, perhaps an old one.
            Err(Failure::ForeignKey | Failure::Unique) if changes.len() == 1 => vec![None].into_iter(),
            Err(failure) => return Err(failure.unexpected()),
        };
        let served = |(change, is_aside): (Change, bool)| {
            let outcome = if is_aside { None } else { outcomes.next().flatten() };
            outcome.map_or_else(|| self.put_aside(change), Served::Now)
        };
        Ok(changes.into_iter().zip(is_aside).map(served).collect())
    }

    async fn finish(&self) {
        self.aside.finish().await;
    }
}

impl Changer {
    /// Changes through `pool`. At most `waiting` changes wait to be done aside, at most `size` of them share a commit, and each
    /// attempt at them takes at most `limit`.
    pub fn new(pool: PgPool, waiting: usize, size: usize, limit: Duration) -> Self {
        Self { pool, heads: Arc::default(), aside: Arc::new(Aside::new(waiting, size)), limit }
    }

    /// Does all changes; `None` for those of an organization in which another instance came in between.
    pub(super) async fn attempt(&self, changes: &[Change]) -> Result<Vec<Option<Outcome>>, Failure> {
        let mut plan = Plan::default();
        let readings = self.read_or_recall(changes).await?;
        let outcomes: Vec<_> =
            changes.iter().zip(readings).map(|(change, reading)| plan.decide(change, reading?)).collect();
        let saved = save(&self.pool, &plan).await?;
        let overtaken: HashSet<_> = plan.heads.keys().filter(|id| !saved.contains(id)).copied().collect();
        for (organization, head) in &plan.heads {
            if overtaken.contains(organization) {
                self.heads.note_another(*organization);
            } else {
                self.heads.leave(*organization, head.to, head.revision + 1);
            }
        }
        let organizations = changes.iter().map(|change| change.organization_id);
        let stands = |(outcome, organization)| (!overtaken.contains(&organization)).then_some(outcome);
        Ok(outcomes.into_iter().zip(organizations).map(stands).collect())
    }

    /// Does the changes of one organization under the lock of its head, which waits for whoever holds it.
    pub(super) async fn change_locked(
        &self,
        organization: OrganizationId,
        changes: &[Change],
    ) -> Result<Vec<Outcome>, Failure> {
        let mut transaction = begin(&self.pool).await?;
        memory::lock_head(&mut transaction, organization).await?;
        let mut plan = Plan::default();
        let readings = read(&mut *transaction, changes.iter()).await?;
        let outcomes =
            changes.iter().zip(readings).map(|(change, reading)| plan.decide(change, reading?)).collect();
        let contexts = changes.iter().map(|change| &change.context);
        memory::forget_expired(&mut transaction, organization, contexts).await?;
        let saved = save(&mut *transaction, &plan).await?;
        if saved.len() < plan.heads.len() {
            return Err(Failure::Other(StoreError::Internal("the head moved under its lock".into())));
        }
        transaction.commit().await?;
        Ok(outcomes)
    }

    /// Reads what the changes are decided from; of plain flags only the head, once for all that are of one organization, and
    /// not even that where it is remembered and nothing else of the organization is read.
    async fn read_or_recall(&self, changes: &[Change]) -> Result<Vec<Result<Reading, StoreError>>, Failure> {
        let mut heads = self.recall_heads(changes);
        let mut seen: HashSet<_> = heads.keys().copied().collect();
        let mut asked = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            if !is_plain_flag(change) || seen.insert(change.organization_id) {
                asked.push((place, change));
            }
        }
        let read = read(&self.pool, asked.iter().map(|(_, change)| *change)).await?;
        let mut readings = HashMap::with_capacity(read.len());
        for ((place, change), reading) in asked.into_iter().zip(read) {
            if let Ok(reading) = &reading {
                heads.insert(change.organization_id, (reading.known.head, reading.revision));
            }
            readings.insert(place, reading);
        }
        let of_head = |change: &Change| {
            let head = heads.get(&change.organization_id);
            let reading = head.and_then(|(head, revision)| Reading::of_plain_flag(change, *head, *revision));
            reading.ok_or_else(|| StoreError::Internal("the head of the organization can't be read".into()))
        };
        let reading = |(place, change)| readings.remove(&place).unwrap_or_else(|| of_head(change));
        Ok(changes.iter().enumerate().map(reading).collect())
    }

    /// The heads that are remembered of organizations of which nothing else is read.
    fn recall_heads(&self, changes: &[Change]) -> HashMap<OrganizationId, (Head, i64)> {
        let organizations = |is_plain: bool| {
            let of_kind = changes.iter().filter(move |change| is_plain_flag(change) == is_plain);
            of_kind.map(|change| change.organization_id).collect::<HashSet<_>>()
        };
        let read = organizations(false);
        let plain = organizations(true).into_iter().filter(|organization| !read.contains(organization));
        plain.filter_map(|organization| Some((organization, self.heads.take(organization)?))).collect()
    }
}

/// What the failure to save a single change means.
pub(super) fn meaning(failure: Failure, change: &AlertChange) -> StoreError {
    let taken = || StoreError::Internal("the id of the alert, or its place in the history, is taken".into());
    let gone = change.status().map_or_else(taken, |status| StoreError::UnknownStatus(status.clone()));
    failure.meaning(taken(), gone)
}

/// Reads what the changes are decided from, in one snapshot.
async fn read<'c>(
    executor: impl PgExecutor<'_>,
    changes: impl Iterator<Item = &'c Change> + Clone,
) -> Result<Vec<Result<Reading, StoreError>>, Failure> {
    if changes.clone().next().is_none() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = changes.clone().map(|change| change.organization_id.uuid()).collect();
    let alerts: Vec<_> = changes.clone().map(|change| change.anomaly_id().map(AnomalyId::uuid)).collect();
    let dedup_keys: Vec<_> = changes.clone().map(|change| change.dedup_key().map(DedupKey::as_str)).collect();
    let statuses: Vec<_> = changes.clone().map(|change| change.status().map(StatusKey::as_str)).collect();
    let key = |change: &'c Change| change.context.idempotency.as_ref().map(|asked| asked.key.as_str());
    let keys: Vec<_> = changes.clone().map(key).collect();
    let since: Vec<_> = changes.clone().map(|change| change.context.at - REMEMBERED).collect();
    let query = sqlx::query_as(sql::SELECT_KNOWN).bind(ids).bind(alerts).bind(dedup_keys).bind(statuses);
    let rows: Vec<KnownRow> = query.bind(keys).bind(since).fetch_all(executor).await?;
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.number, row)).collect();
    let reading = |(number, change): (i64, &Change)| {
        rows.remove(&number).ok_or_else(|| StoreError::no_organization(change))?.read(change.organization_id)
    };
    Ok((1..).zip(changes).map(reading).collect())
}
