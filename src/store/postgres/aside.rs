//! Changes that are done aside, while the next batches of the lane begin: those of an organization in which another instance, or
//! another call of this one, came in between, and those that can't be saved before something is forgotten. What arrives for the
//! organization meanwhile follows them there.

use std::collections::{HashMap, hash_map::Entry};

use tokio::sync::{Semaphore, oneshot, watch};

use super::changes::{Change, Changer, Outcome, meaning};
use super::lanes::{self, Guarded, Serve, Served, Waiting};
use crate::{
    domain::{Answer, Changed, OrganizationId},
    store::{StoreError, failure::Failure},
};

type Call = Waiting<Change, Answer<Changed>>;

/// What is to be done aside, by organization. One that is there has a task of its own until nothing of it waits.
pub struct Aside {
    waiting: watch::Sender<HashMap<OrganizationId, Vec<Call>>>,
    /// How many changes may wait.
    most: usize,
    /// How many share a commit at most.
    size: usize,
    /// Held by who tries the quick way: one at a time, however many organizations there are, so that connections are left for
    /// everything else.
    attempt: Semaphore,
    /// Held by who waits for a lock, likewise.
    turn: Semaphore,
}

impl Aside {
    /// Room for `most` changes that wait, of which at most `size` share a commit.
    pub fn new(most: usize, size: usize) -> Self {
        Self {
            waiting: watch::Sender::default(),
            most,
            size,
            attempt: Semaphore::new(1),
            turn: Semaphore::new(1),
        }
    }

    /// Whether each of the changes must follow others of its organization; the same for all of one organization.
    pub fn must_follow(&self, changes: &[Change]) -> Vec<bool> {
        let waiting = self.waiting.borrow();
        changes.iter().map(|change| waiting.contains_key(&change.organization_id)).collect()
    }

    /// Waits until nothing is left to be done aside.
    pub async fn finish(&self) {
        // The sender lasts as long as this.
        let _ = self.waiting.subscribe().wait_for(HashMap::is_empty).await;
    }

    /// Adds a change, and tells whether it is the only one of its organization, which then needs a task.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait already.
    fn add(&self, call: Call) -> Result<bool, StoreError> {
        let mut added = Err(StoreError::Busy);
        self.waiting.send_modify(|waiting| {
            if count(waiting) >= self.most {
                waiting.values_mut().for_each(forget_abandoned);
            }
            if count(waiting) < self.most {
                let organization = call.asked.organization_id;
                added = Ok(!waiting.contains_key(&organization));
                waiting.entry(organization).or_default().push(call);
            }
        });
        added
    }

    /// What waits for the organization, as much as shares a commit. Where there is nothing, `None`, and the organization is no longer
    /// there.
    fn take_or_end(&self, organization: OrganizationId) -> Option<Vec<Call>> {
        let mut taken = Vec::new();
        self.waiting.send_modify(|waiting| {
            let Entry::Occupied(mut calls) = waiting.entry(organization) else { return };
            let count = calls.get().len().min(self.size);
            taken = calls.get_mut().drain(..count).collect();
            if taken.is_empty() {
                calls.remove();
            }
        });
        (!taken.is_empty()).then_some(taken)
    }
}

impl Changer {
    /// Does the change aside, after those of its organization that wait there already; refuses it when too many do.
    pub(super) fn put_aside(&self, change: Change) -> Served<Answer<Changed>> {
        let organization = change.organization_id;
        let (answering, answer) = oneshot::channel();
        match self.aside.add(Waiting { asked: change, answering }) {
            Err(error) => return Served::Now(Err(error)),
            Ok(true) => drop(tokio::spawn(self.clone().work_aside(organization))),
            Ok(false) => {}
        }
        Served::Later(answer)
    }

    /// Does what waits aside for the organization until nothing does: the quick way, or else under the lock of its head.
    async fn work_aside(self, organization: OrganizationId) {
        let locked = Guarded::new(Locked { changer: self.clone(), organization }, self.limit);
        while let Some(calls) = self.aside.take_or_end(organization) {
            let mut left = self.serve_quickly(calls).await;
            if left.is_empty() {
                continue;
            }
            match tokio::time::timeout(self.limit, self.aside.turn.acquire()).await {
                // The permit; the semaphore is never closed.
                Ok(_turn) => {
                    forget_abandoned(&mut left);
                    lanes::serve(&locked, left).await;
                }
                Err(_) => {
                    lanes::fail_all(left, StoreError::Unavailable("another organization is held".into()));
                }
            }
        }
    }

    /// Does all calls where nobody comes in between and nothing is wrong with any of them; returns them otherwise.
    async fn serve_quickly(&self, mut calls: Vec<Call>) -> Vec<Call> {
        // Never closed.
        let _attempt = self.aside.attempt.acquire().await;
        forget_abandoned(&mut calls);
        let own = self.clone();
        let changes: Vec<_> = calls.iter().map(|call| call.asked.clone()).collect();
        let attempt = lanes::guarded(self.limit, async move {
            let outcomes = own.attempt(&changes).await.map_err(Failure::unexpected)?;
            Ok(outcomes.into_iter().collect::<Option<Vec<_>>>())
        });
        match attempt.await {
            Ok(Some(outcomes)) => lanes::answer_all(calls, now(outcomes)),
            Err(error @ StoreError::Unavailable(_)) => lanes::fail_all(calls, error),
            Ok(None) | Err(_) => return calls,
        }
        Vec::new()
    }
}

/// Does changes of one organization under the lock of its head.
struct Locked {
    changer: Changer,
    organization: OrganizationId,
}

impl Serve<Change, Answer<Changed>> for Locked {
    const IS_PATIENT: bool = false;

    async fn serve(&self, changes: Vec<Change>) -> Result<Vec<Served<Answer<Changed>>>, StoreError> {
        match (self.changer.change_locked(self.organization, &changes).await, changes.as_slice()) {
            (Ok(outcomes), _) => Ok(now(outcomes)),
            (Err(failure), [change]) => Err(meaning(failure, change)),
            (Err(failure), _) => Err(failure.unexpected()),
        }
    }
}

fn count(waiting: &HashMap<OrganizationId, Vec<Call>>) -> usize {
    waiting.values().map(Vec::len).sum()
}

fn forget_abandoned(calls: &mut Vec<Call>) {
    calls.retain(|call| !call.answering.is_closed());
}

fn now(outcomes: Vec<Outcome>) -> Vec<Served<Answer<Changed>>> {
    outcomes.into_iter().map(Served::Now).collect()
}
