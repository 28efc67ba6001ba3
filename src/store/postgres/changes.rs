//! Changing alerts, each change with its event and under its idempotency key.
//!
//! A batch takes two round trips: one statement reads all that its changes are decided from, in one snapshot; another saves
//! what was decided, where the heads still have the revisions that were read. Every change moves the revision, so where it
//! has not moved, nothing has changed. Plain flags take the second alone, where this instance made the change before them
//! (`heads.rs`). Where another instance came in between, the changes of that organization are decided once more, under the
//! lock of its head's row.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use sqlx::{PgExecutor, PgPool};

use super::{
    PostgresStore, begin,
    heads::Heads,
    lanes::{self, Serve},
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
        known::{KnownRow, Reading},
    },
};

type Outcome = Result<Answer<Changed>, StoreError>;
type Change = Arc<AlertChange>;

impl PostgresStore {
    pub(super) async fn change(&self, change: &AlertChange) -> Outcome {
        lanes::ask(self.lane(change.organization_id), Arc::new(change.clone())).await
    }
}

/// Changes alerts, a batch at a time.
pub struct Changer {
    pool: PgPool,
    heads: Heads,
}

impl Serve<Change, Answer<Changed>> for Changer {
    async fn serve(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = match self.attempt(&changes).await {
            Ok(outcomes) => outcomes,
            // The status is gone, or the idempotency key is there, perhaps an old one.
            Err(Failure::ForeignKey | Failure::Unique) if changes.len() == 1 => vec![None],
            Err(failure) => return Err(failure.unexpected()),
        };
        for (organization, places) in overtaken(&changes, &outcomes) {
            let again: Vec<_> = places.iter().map(|&place| Arc::clone(&changes[place])).collect();
            for (place, outcome) in places.into_iter().zip(self.change_again(organization, &again).await) {
                outcomes[place] = Some(outcome);
            }
        }
        let lost = || Err(StoreError::Internal("a change was left out".into()));
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect())
    }
}

impl Changer {
    /// Changes through `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, heads: Heads::default() }
    }

    /// Does all changes; `None` for those of an organization in which another instance came in between.
    async fn attempt(&self, changes: &[Change]) -> Result<Vec<Option<Outcome>>, Failure> {
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

    /// Does the changes of one organization in which another instance came in between: all together, or each alone where
    /// something is wrong with one of them.
    async fn change_again(&self, organization: OrganizationId, changes: &[Change]) -> Vec<Outcome> {
        let failure = match self.change_locked(organization, changes).await {
            Ok(outcomes) => return outcomes,
            Err(failure) => failure,
        };
        if let [change] = changes {
            return vec![Err(meaning(failure, change))];
        }
        if let Failure::Other(error @ StoreError::Unavailable(_)) = failure {
            return StoreError::for_each(error, changes.len());
        }
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            match self.change_locked(organization, std::slice::from_ref(change)).await {
                Ok(outcome) => outcomes.extend(outcome),
                Err(failure) => outcomes.push(Err(meaning(failure, change))),
            }
        }
        outcomes
    }

    async fn change_locked(
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
        for change in changes {
            memory::forget_expired(&mut transaction, organization, &change.context).await?;
        }
        let saved = save(&mut *transaction, &plan).await?;
        if saved.len() < plan.heads.len() {
            return Err(Failure::Other(StoreError::Internal("the head moved under its lock".into())));
        }
        transaction.commit().await?;
        Ok(outcomes)
    }

    /// Reads what the changes are decided from; of plain flags only the head, once for all that are of one organization, and
    /// not even that where it is remembered.
    async fn read_or_recall(&self, changes: &[Change]) -> Result<Vec<Result<Reading, StoreError>>, Failure> {
        let is_told = |change: &&Change| Reading::of_plain_flag(change, Head::EMPTY, 0).is_none();
        let told = changes.iter().filter(is_told).map(|change| change.organization_id);
        let mut heads: HashMap<_, Option<(Head, i64)>> =
            told.map(|organization| (organization, None)).collect();
        let mut asked = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let recall = |organization: &OrganizationId| self.heads.take(*organization);
            let is_first = !heads.contains_key(&change.organization_id);
            let head = heads.entry(change.organization_id).or_insert_with_key(recall);
            if is_told(&change) || (is_first && head.is_none()) {
                asked.push(index);
            }
        }
        let mut readings: HashMap<_, _> = HashMap::new();
        for (index, reading) in
            asked.iter().zip(read(&self.pool, asked.iter().map(|&index| &changes[index])).await?)
        {
            if let Ok(reading) = &reading {
                heads.insert(changes[*index].organization_id, Some((reading.known.head, reading.revision)));
            }
            readings.insert(*index, reading);
        }
        let plain = |change: &Change| {
            let head = heads.get(&change.organization_id).copied().flatten();
            let reading = head.and_then(|(head, revision)| Reading::of_plain_flag(change, head, revision));
            reading.ok_or_else(|| StoreError::no_organization(change))
        };
        let read = |(index, change)| readings.remove(&index).unwrap_or_else(|| plain(change));
        Ok(changes.iter().enumerate().map(read).collect())
    }
}

/// The changes, by organization, that another instance has come in between of, with their places in the batch.
fn overtaken(changes: &[Change], outcomes: &[Option<Outcome>]) -> BTreeMap<OrganizationId, Vec<usize>> {
    let mut overtaken: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, (change, outcome)) in changes.iter().zip(outcomes).enumerate() {
        if outcome.is_none() {
            overtaken.entry(change.organization_id).or_default().push(index);
        }
    }
    overtaken
}

fn meaning(failure: Failure, change: &AlertChange) -> StoreError {
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
