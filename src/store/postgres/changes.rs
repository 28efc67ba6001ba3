//! Changing alerts, each change with its event and under its idempotency key.
//!
//! A batch takes two round trips: one statement reads all that its changes are decided from, in one snapshot; another saves
//! what was decided, where the heads still have the revisions that were read. Every change moves the revision, so where it
//! has not moved, nothing has changed. Plain flags take the second alone, where this instance made the change before them
//! (`head_cache.rs`).
//!
//! Nothing in these statements waits for a lock for long: a head that another instance holds is skipped, and a statement that
//! meets any other lock ends after a moment. Then whoever is in the way is found organization by organization, the others
//! commit together, and it goes on alone (`contended.rs`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    sync::Arc,
    time::Duration,
};

use sqlx::PgExecutor;

use super::{
    connections::{BARELY, Connections, LOCK_TIMEOUT, Use},
    head_cache::HeadCache,
    lanes::{self, Calls, Waiting},
    lent::Lent,
    plan::Plan,
    rows::Decoded,
    save::{Saved, save},
    sql,
};
use crate::{
    domain::{
        AlertChange, AnomalyId, ChangedAlert, DedupKey, Head, HeadSigner, Idempotent, OrganizationId,
        StatusKey,
    },
    store::{
        Commits, StoreError,
        failure::Failure,
        queue::{self, Amount, Batch, Contended, GroupCommit, Lane, Load},
        shared::decision_input::{DecisionInputRow, HeadRow, Reading, is_plain_flag},
    },
};

/// How many changes a batch holds at most while several organizations write: some milliseconds, for others wait for them.
const SHARED: usize = 48;

/// The outcome of a change.
pub type Outcome = Result<Idempotent<ChangedAlert>, StoreError>;
/// A change that may be attempted several times.
pub type Change = Arc<AlertChange>;
/// The queue of changes.
pub type Changes = Calls<Change, Idempotent<ChangedAlert>>;
/// A call that waits for a change.
pub type Call = Waiting<Change, Idempotent<ChangedAlert>>;

/// The outcome of a change, or the reason why it was not done yet.
pub type Attempted = Result<Outcome, Contended>;

/// Changes alerts, a batch at a time.
#[derive(Clone)]
pub struct Changer {
    pub(super) connections: Connections,
    pub(super) heads: Arc<HeadCache>,
    /// Signs the heads that it leaves.
    pub(super) signer: Option<Arc<HeadSigner>>,
    /// Is told of commits.
    pub(super) sink: Commits,
}

/// Starts the workers that change alerts: `in_flight` for all organizations, one for those with few changes where there is a
/// connection for it, one for those that another instance is at work on, and one for those that somebody holds a lock of.
pub fn start(
    connections: Connections,
    commits: GroupCommit,
    in_flight: usize,
    signer: Option<Arc<HeadSigner>>,
    sink: Commits,
) -> Changes {
    let batch = commits.batch();
    let shared = Amount { count: SHARED.min(batch.count), ..batch };
    let changes = queue::queue(commits.room(), batch, shared);
    let express = connections.has_express().then_some(Lane::Express);
    let lanes =
        std::iter::repeat_n(Lane::Main, in_flight).chain(express).chain([Lane::Contended, Lane::Locked]);
    let worker = Changer { connections, heads: Arc::default(), signer, sink };
    for lane in lanes {
        let (mut batches, worker) = (changes.batches(lane), worker.clone());
        tokio::spawn(async move {
            while let Some(batch) = batches.next().await {
                match lane {
                    Lane::Main | Lane::Express => worker.serve(batch).await,
                    Lane::Contended => worker.serve_contended(batch).await,
                    Lane::Locked => worker.serve_locked(batch).await,
                }
            }
        });
    }
    changes
}

impl Changer {
    /// Does a batch that nobody is known to be in the way of.
    async fn serve(&self, mut batch: Batch<Call>) {
        let calls = mem::take(&mut batch.jobs);
        let changes = changes_of(&calls);
        let own = self.clone();
        let attempted = self.connections.guarded(async move { own.attempt(&changes).await }).await;
        let attempted = match attempted {
            Err(Failure::Other(error @ StoreError::Unavailable(_))) => Err(error.into()),
            Err(failure) => self.isolate(&calls, failure).await,
            done => done,
        };
        finish(&batch, calls, attempted.map_err(Failure::unexpected));
    }

    /// Does all changes in one statement for all organizations; those of an organization that another instance is at work on are not done.
    async fn attempt(&self, changes: &[Change]) -> Result<Vec<Attempted>, Failure> {
        let mut lent = self.connections.lend(Use::Changes).await?;
        let mut plan = Plan::default();
        let readings = self.read_or_cached(&mut lent, changes).await?;
        let outcomes: Vec<_> =
            changes.iter().zip(readings).map(|(change, reading)| plan.decide(change, reading?)).collect();
        let saved = save(&mut lent, &plan, self.signer.as_deref()).await?;
        drop(lent);
        self.conclude(&mut plan, &saved);
        let is_overtaken = |change: &Change| {
            let organization = change.organization_id;
            plan.heads.contains_key(&organization) && !saved.contains_key(&organization)
        };
        let attempted = |(change, outcome)| {
            if is_overtaken(change) { Err(Contended::Overtaken) } else { Ok(outcome) }
        };
        Ok(changes.iter().zip(outcomes).map(attempted).collect())
    }

    /// Does the changes organization by organization, after their statement for all has failed: those of whoever is in the way, or
    /// wrong, are left out, and all others commit together.
    async fn isolate(&self, calls: &[(Load, Call)], failure: Failure) -> Result<Vec<Attempted>, Failure> {
        let changes = changes_of(calls);
        let is_one = calls.windows(2).all(|pair| pair[0].0.organization == pair[1].0.organization);
        if is_one {
            let is_locked = matches!(failure, Failure::Other(StoreError::Locked(_)));
            let contended = if is_locked { Contended::Locked } else { Contended::Overtaken };
            return Ok(changes.iter().map(|_| Err(contended)).collect());
        }
        let own = self.clone();
        let guarded = self.connections.guarded(async move { own.save_by_organization(&changes).await });
        match guarded.await {
            Err(Failure::Other(error @ StoreError::Unavailable(_))) => Err(Failure::Other(error)),
            Err(_) => Ok(calls.iter().map(|_| Err(Contended::Overtaken)).collect()),
            Ok(attempted) => Ok(attempted),
        }
    }

    async fn save_by_organization(&self, changes: &[Change]) -> Result<Vec<Attempted>, Failure> {
        let mut organizations: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, change) in changes.iter().enumerate() {
            organizations.entry(change.organization_id).or_default().push((place, change));
        }
        let wait = part_of_wait(organizations.len());
        let mut lent = self.connections.begin_waiting(Use::Changes, wait).await?;
        let mut attempted = Vec::with_capacity(changes.len());
        let mut moved = Vec::new();
        for changes in organizations.into_values() {
            let (places, changes): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
            match self.save_apart(&mut lent, &changes).await? {
                Ok((outcomes, plan, saved)) => {
                    attempted.extend(places.into_iter().zip(outcomes.into_iter().map(Ok)));
                    moved.push((plan, saved));
                }
                Err(in_the_way) => attempted.extend(places.into_iter().map(|place| (place, Err(in_the_way)))),
            }
        }
        lent.commit().await?;
        for (mut plan, saved) in moved {
            self.conclude(&mut plan, &saved);
        }
        attempted.sort_by_key(|(place, _)| *place);
        Ok(attempted.into_iter().map(|(_, attempted)| attempted).collect())
    }

    /// Tells of the events that were committed.
    pub(super) fn tell(&self, plan: &mut Plan, saved: &Saved) {
        if self.sink.are_wanted() {
            let mut events = mem::take(&mut plan.events);
            events.retain(|event| saved.contains_key(&event.organization_id));
            self.sink.tell(events);
        }
    }

    /// Keeps the heads that were saved, and tells of the events.
    fn conclude(&self, plan: &mut Plan, saved: &Saved) {
        self.tell(plan, saved);
        for (organization, moved) in &plan.heads {
            if let Some(row) = saved.get(organization) {
                self.heads.put(*organization, moved.to, row.clone());
            }
        }
    }

    /// Does the changes of one organization so that a failure undoes nothing else; what was in the way, if they were not done.
    async fn save_apart(
        &self,
        lent: &mut Lent,
        changes: &[&Change],
    ) -> Result<Result<(Vec<Outcome>, Plan, Saved), Contended>, Failure> {
        lent.tell("SAVEPOINT apart").await?;
        let saved = match self.decide_and_save(lent, changes).await {
            Ok((outcomes, plan, saved)) if saved.len() == plan.heads.len() => Ok((outcomes, plan, saved)),
            Err(Failure::Other(error @ StoreError::Unavailable(_))) => return Err(Failure::Other(error)),
            Err(Failure::Other(StoreError::Locked(_))) => Err(Contended::Locked),
            Ok(_) | Err(_) => Err(Contended::Overtaken),
        };
        lent.tell(if saved.is_ok() { "RELEASE apart" } else { "ROLLBACK TO apart" }).await?;
        Ok(saved)
    }

    async fn decide_and_save(
        &self,
        lent: &mut Lent,
        changes: &[&Change],
    ) -> Result<(Vec<Outcome>, Plan, Saved), Failure> {
        let mut plan = Plan::default();
        // Here, so that a row that can't be read is in the way of its organization alone.
        let readings = read(&mut *lent, changes.iter().copied()).await?;
        let outcomes =
            changes.iter().zip(readings).map(|(change, reading)| plan.decide(change, reading?)).collect();
        let saved = save(lent, &plan, self.signer.as_deref()).await?;
        Ok((outcomes, plan, saved))
    }

    /// Reads what the changes are decided from; of plain flags only the head, once for all that are of one organization, and
    /// not even that where it is kept and nothing else of the organization is read.
    async fn read_or_cached(
        &self,
        lent: &mut Lent,
        changes: &[Change],
    ) -> Result<Vec<Result<Reading, StoreError>>, Failure> {
        let mut heads = self.cached_heads(changes);
        let mut seen: HashSet<_> = heads.keys().copied().collect();
        let mut asked = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            if !is_plain_flag(change) || seen.insert(change.organization_id) {
                asked.push((place, change));
            }
        }
        let read = read(lent, asked.iter().map(|(_, change)| *change)).await?;
        let mut readings = HashMap::with_capacity(read.len());
        for ((place, change), reading) in asked.into_iter().zip(read) {
            if let Ok(reading) = &reading {
                heads.insert(change.organization_id, (reading.known.head, reading.row.clone()));
            }
            readings.insert(place, reading);
        }
        let of_head = |change: &Change| {
            let head = heads.get(&change.organization_id);
            let reading = head.and_then(|(head, row)| Reading::of_plain_flag(change, *head, row.clone()));
            reading.ok_or_else(|| StoreError::Internal("the head of the organization can't be read".into()))
        };
        let reading = |(place, change)| readings.remove(&place).unwrap_or_else(|| of_head(change));
        Ok(changes.iter().enumerate().map(reading).collect())
    }

    /// The heads that are kept of organizations of which nothing else is read.
    fn cached_heads(&self, changes: &[Change]) -> HashMap<OrganizationId, (Head, HeadRow)> {
        let organizations = |is_plain: bool| {
            let of_kind = changes.iter().filter(move |change| is_plain_flag(change) == is_plain);
            of_kind.map(|change| change.organization_id).collect::<HashSet<_>>()
        };
        let read = organizations(false);
        let plain = organizations(true).into_iter().filter(|organization| !read.contains(organization));
        plain.filter_map(|organization| Some((organization, self.heads.take(organization)?))).collect()
    }
}

/// How long each of so many organizations waits for a lock where the others wait for it: all of them together no longer than a
/// statement does.
pub fn part_of_wait(organizations: usize) -> Duration {
    let part = LOCK_TIMEOUT / u32::try_from(organizations.max(1)).unwrap_or(u32::MAX);
    part.min(BARELY)
}

/// The changes that the calls ask for.
pub fn changes_of(calls: &[(Load, Call)]) -> Vec<Change> {
    calls.iter().map(|(_, call)| Arc::clone(&call.asked)).collect()
}

/// Answers calls with what came of them, and puts back those that were not done.
pub fn finish(batch: &Batch<Call>, calls: Vec<(Load, Call)>, attempted: Result<Vec<Attempted>, StoreError>) {
    let attempted = match attempted {
        Ok(attempted) => attempted,
        Err(error) => {
            let calls: Vec<_> = calls.into_iter().map(|(_, call)| call).collect();
            return lanes::fail_all(calls.into_iter(), error);
        }
    };
    let (mut locked, mut overtaken) = (Vec::new(), Vec::new());
    for ((load, call), attempted) in calls.into_iter().zip(attempted) {
        match attempted {
            Ok(outcome) => call.answer(outcome),
            Err(Contended::Locked) => locked.push((load, call)),
            Err(Contended::Overtaken) => overtaken.push((load, call)),
        }
    }
    for (calls, contended) in [(locked, Contended::Locked), (overtaken, Contended::Overtaken)] {
        if !calls.is_empty() {
            batch.put_back(calls, contended);
        }
    }
}

/// Reads what the changes are decided from, in one snapshot.
pub async fn read<'c>(
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
    let query =
        sqlx::query_as(sql::SELECT_DECISION_INPUT).bind(ids).bind(alerts).bind(dedup_keys).bind(statuses);
    let rows: Vec<Decoded<DecisionInputRow>> = query.bind(keys).fetch_all(executor).await?;
    let mut rows: HashMap<_, _> = rows.into_iter().map(|Decoded(row)| (row.number, row)).collect();
    let reading = |(number, change): (i64, &Change)| {
        let row = rows.remove(&number).ok_or_else(|| StoreError::no_organization(change))?;
        Ok(Reading::try_from(row)?)
    };
    Ok((1..).zip(changes).map(reading).collect())
}
