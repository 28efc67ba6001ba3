//! Reading alerts by key: look-ups that arrive while others are on their way share the next statement.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use super::{
    connections::{Connections, Use},
    lanes::{self, Calls, Waiting},
    rows::Decoded,
    sql,
};
use crate::{
    domain::{Alert, AnomalyId, OrganizationId},
    store::{
        StoreError,
        queue::{self, Amount, Batch, Batches, Lane},
        shared::rows::alert::AlertRow,
    },
};

type Key = (OrganizationId, AnomalyId);
/// The queue of look-ups.
pub type LookUps = Calls<Key, Option<Alert>>;
type LookUp = Waiting<Key, Option<Alert>>;

/// How many look-ups may wait for the next statement.
const WAITING: Amount = Amount { count: 65_536, bytes: usize::MAX };
/// How many look-ups share a statement at most.
const AT_ONCE: Amount = Amount { count: 64, bytes: usize::MAX };

/// Starts the worker that looks alerts up.
pub fn start(connections: Connections) -> LookUps {
    let lookups = queue::queue(WAITING, AT_ONCE, AT_ONCE);
    tokio::spawn(work(lookups.batches(Lane::Main), connections));
    lookups
}

async fn work(mut batches: Batches<LookUp>, connections: Connections) {
    while let Some(mut batch) = batches.next().await {
        // Lets every task go first that is ready to run, so that calls about to be made join it: 6 % more look-ups with 64
        // callers. For changes the same cost a tenth.
        tokio::task::yield_now().await;
        batches.join(&mut batch.jobs);
        serve(batch, &connections).await;
    }
}

/// Answers a batch; each call alone where something is wrong with one of them.
async fn serve(mut batch: Batch<LookUp>, connections: &Connections) {
    let mut calls: Vec<_> = mem::take(&mut batch.jobs).into_iter().map(|(_, call)| call).collect();
    calls.retain(|call| !call.answering.is_closed());
    let keys: Vec<_> = calls.iter().map(|call| call.asked).collect();
    match find(connections, keys).await {
        Ok(found) => calls.into_iter().zip(found).for_each(|(call, found)| call.answer(Ok(found))),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Cancelled(_))) => {
            lanes::fail_all(calls.into_iter(), error);
        }
        Err(error) if calls.len() <= 1 => lanes::fail_all(calls.into_iter(), error),
        Err(error) => {
            tracing::warn!(%error, calls = calls.len(), "look-ups failed, they are done one by one");
            serve_each(calls, connections).await;
        }
    }
}

async fn serve_each(calls: Vec<LookUp>, connections: &Connections) {
    let mut calls = calls.into_iter();
    while let Some(call) = calls.next() {
        match find(connections, vec![call.asked]).await {
            Ok(found) => call.answer(Ok(found.into_iter().next().flatten())),
            // The database is away for all of them, or too slow.
            Err(error @ (StoreError::Unavailable(_) | StoreError::Cancelled(_))) => {
                let left: Vec<_> = std::iter::once(call).chain(calls).collect();
                return lanes::fail_all(left.into_iter(), error);
            }
            Err(error) => call.answer(Err(error)),
        }
    }
}

async fn find(connections: &Connections, asked: Vec<Key>) -> Result<Vec<Option<Alert>>, StoreError> {
    let own = connections.clone();
    connections.guarded(async move { select(&own, &asked).await }).await
}

async fn select(connections: &Connections, asked: &[Key]) -> Result<Vec<Option<Alert>>, StoreError> {
    let select = || {
        let organizations: Vec<_> = asked.iter().map(|(organization, _)| organization.uuid()).collect();
        let ids: Vec<_> = asked.iter().map(|(_, id)| id.uuid()).collect();
        Ok(sqlx::query_as(sql::SELECT_ALERTS).bind(organizations).bind(ids))
    };
    let rows: Vec<Decoded<AlertRow>> = connections.all(Use::LookUps, select).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for Decoded(row) in rows {
        let alert = Alert::try_from(row)?;
        found.insert((alert.organization_id, alert.id), alert);
    }
    // Each of several callers that ask for the same alert needs its own copy.
    let are_distinct = asked.iter().collect::<HashSet<_>>().len() == asked.len();
    let mut take = |key| if are_distinct { found.remove(key) } else { found.get(key).cloned() };
    Ok(asked.iter().map(&mut take).collect())
}
