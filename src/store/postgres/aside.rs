//! Changes that are done aside, while the next batches of the lane begin: those of an organization in which another instance, or
//! another call of this one, came in between. What arrives for the organization meanwhile follows them there.

use std::{
    collections::{HashMap, hash_map::Entry},
    iter, mem,
    sync::Arc,
};

use tokio::sync::{Semaphore, oneshot, watch};

use super::changes::{Change, Changer, Outcome, meaning};
use super::lanes::{Served, guarded};
use crate::{
    domain::{Answer, Changed, OrganizationId},
    store::{StoreError, failure::Failure},
};

/// A change that waits to be done aside.
struct Call {
    change: Change,
    answering: oneshot::Sender<Outcome>,
}

impl Call {
    fn answer(self, outcome: Outcome) {
        // Where the caller is gone, nobody wants to know.
        let _ = self.answering.send(outcome);
    }
}

/// What is done aside, by organization. One that is there has a task of its own until nothing of it waits.
pub struct Aside {
    waiting: watch::Sender<HashMap<OrganizationId, Vec<Call>>>,
    /// How many changes may wait.
    most: usize,
    /// Held by who is at work: what else is to be done must find a connection.
    turn: Semaphore,
}

impl Aside {
    /// Room for `most` changes that wait.
    pub fn new(most: usize) -> Self {
        Self { waiting: watch::Sender::default(), most, turn: Semaphore::new(1) }
    }

    /// Whether changes of the organization are done aside.
    pub fn has(&self, organization: OrganizationId) -> bool {
        self.waiting.borrow().contains_key(&organization)
    }

    /// Waits until nothing is left to be done aside.
    pub async fn finish(&self) {
        // The sender lasts as long as this.
        let _ = self.waiting.subscribe().wait_for(HashMap::is_empty).await;
    }

    /// All that waits for the organization and has a caller still; `None` ends its task.
    fn take(&self, organization: OrganizationId) -> Option<Vec<Call>> {
        let mut taken = Vec::new();
        self.waiting.send_modify(|waiting| {
            let Entry::Occupied(mut calls) = waiting.entry(organization) else { return };
            taken = mem::take(calls.get_mut());
            taken.retain(|call| !call.answering.is_closed());
            if taken.is_empty() {
                calls.remove();
            }
        });
        (!taken.is_empty()).then_some(taken)
    }
}

impl Changer {
    /// Does the change aside, after those of its organization that wait there already.
    pub(super) fn put_aside(&self, change: Change) -> Served<Answer<Changed>> {
        let organization = change.organization_id;
        let (answering, answer) = oneshot::channel();
        let (mut is_full, mut is_first) = (false, false);
        self.aside.waiting.send_modify(|waiting| {
            is_full = waiting.values().map(Vec::len).sum::<usize>() >= self.aside.most;
            if !is_full {
                is_first = !waiting.contains_key(&organization);
                waiting.entry(organization).or_default().push(Call { change, answering });
            }
        });
        if is_full {
            return Served::Now(Err(StoreError::Busy));
        }
        if is_first {
            tokio::spawn(self.clone().work_aside(organization));
        }
        Served::Later(answer)
    }

    /// Does what waits aside for the organization until nothing does. The first of it has been overtaken; what follows may well
    /// go the quick way.
    async fn work_aside(self, organization: OrganizationId) {
        let mut is_overtaken = true;
        loop {
            // Never closed.
            let _turn = self.aside.turn.acquire().await;
            let Some(calls) = self.aside.take(organization) else { return };
            let left = if is_overtaken { calls } else { self.serve_quickly(calls).await };
            self.serve_locked(organization, left).await;
            is_overtaken = false;
        }
    }

    /// Does all calls, where nobody comes in between and nothing is wrong with any of them; answers those that are left.
    async fn serve_quickly(&self, calls: Vec<Call>) -> Vec<Call> {
        let (own, changes) = (self.clone(), changes(&calls));
        let outcomes = match guarded(self.limit, async move { own.attempt(&changes).await }).await {
            Ok(outcomes) => outcomes,
            Err(failure) if is_unavailable(&failure) => {
                fail_all(calls, failure);
                return Vec::new();
            }
            Err(_) => return calls,
        };
        let mut left = Vec::new();
        for (call, outcome) in calls.into_iter().zip(outcomes) {
            match outcome {
                Some(outcome) => call.answer(outcome),
                None => left.push(call),
            }
        }
        left
    }

    /// Does the calls of one organization under its lock: all together, or each alone where something is wrong with one of them.
    async fn serve_locked(&self, organization: OrganizationId, calls: Vec<Call>) {
        if calls.len() > 1 {
            match self.change_locked_in_time(organization, changes(&calls)).await {
                Ok(outcomes) => return answer_all(calls, outcomes),
                Err(failure) if is_unavailable(&failure) => return fail_all(calls, failure),
                Err(_) => {}
            }
        }
        let mut calls = calls.into_iter();
        while let Some(call) = calls.next() {
            if call.answering.is_closed() {
                continue;
            }
            match self.change_locked_in_time(organization, vec![Arc::clone(&call.change)]).await {
                Ok(outcomes) => answer_all(vec![call], outcomes),
                Err(failure) if is_unavailable(&failure) => {
                    return fail_all(iter::once(call).chain(calls).collect(), failure);
                }
                Err(failure) => {
                    let error = meaning(failure, &call.change);
                    call.answer(Err(error));
                }
            }
        }
    }

    /// Does all changes of one organization under its lock, within the limit.
    async fn change_locked_in_time(
        &self,
        organization: OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Vec<Outcome>, Failure> {
        let own = self.clone();
        guarded(self.limit, async move { own.change_locked(organization, &changes).await }).await
    }
}

fn changes(calls: &[Call]) -> Vec<Change> {
    calls.iter().map(|call| Arc::clone(&call.change)).collect()
}

fn is_unavailable(failure: &Failure) -> bool {
    matches!(failure, Failure::Other(StoreError::Unavailable(_)))
}

fn answer_all(calls: Vec<Call>, outcomes: Vec<Outcome>) {
    for (call, outcome) in calls.into_iter().zip(outcomes) {
        call.answer(outcome);
    }
}

/// Answers what befell all of them together.
fn fail_all(calls: Vec<Call>, failure: Failure) {
    let outcomes = failure.unexpected().for_each(calls.len());
    answer_all(calls, outcomes);
}
