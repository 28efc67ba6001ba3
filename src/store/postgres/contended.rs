//! Changes of organizations that somebody is in the way of: another instance, or whoever holds a lock. They are done under the
//! locks of their heads. What arrives for such an organization meanwhile follows them.
//!
//! Several organizations that another instance is at work on are done together. Those of which somebody holds a lock are done
//! one at a time on a connection of their own, and each attempt waits for a moment only: the others never wait for them.

use std::{
    collections::{HashMap, HashSet},
    mem,
    time::Duration,
};

use uuid::Uuid;

use super::{
    changes::{Attempted, Call, Change, Changer, changes_of, finish, part_of_wait, read},
    connections::{BARELY, LOCK_TIMEOUT, Use},
    idempotency_keys,
    lent::Lent,
    plan::Plan,
    save::{Saved, save},
    sql,
};
use crate::{
    domain::{AlertChange, OrganizationId},
    store::{
        StoreError,
        failure::Failure,
        queue::{Batch, Contended, Load},
    },
};

/// The purpose that a transaction borrows its connection for, and how long it waits for each lock.
#[derive(Debug, Clone, Copy)]
struct Patience {
    what: Use,
    wait: Duration,
}

/// The result of a transaction that held the heads' locks.
struct Locked {
    attempted: Vec<Attempted>,
    /// Of each organization that was done, whether this instance was the last to change it before.
    done: HashMap<OrganizationId, bool>,
}

impl Changer {
    /// Does the changes of organizations that another instance is at work on.
    pub(super) async fn serve_contended(&self, mut batch: Batch<Call>) {
        let together = mem::take(&mut batch.jobs);
        let count = batch.organizations().len();
        let patience = Patience { what: Use::Contended, wait: LOCK_TIMEOUT };
        if count == 1 {
            return self.serve_group(&batch, together, patience).await;
        }
        match self.under_locks(&together, patience).await {
            Ok(locked) => conclude(&batch, together, locked),
            Err(Failure::Other(error @ StoreError::Unavailable(_))) => finish(&batch, together, Err(error)),
            Err(_) => {
                let patience = Patience { wait: part_of_wait(count), ..patience };
                for group in by_organization(together) {
                    self.serve_group(&batch, group, patience).await;
                }
            }
        }
    }

    /// Does changes of an organization of which somebody holds a lock, or did a moment ago.
    pub(super) async fn serve_locked(&self, mut batch: Batch<Call>) {
        let patience = Patience { what: Use::Background, wait: BARELY };
        for group in by_organization(mem::take(&mut batch.jobs)) {
            self.serve_group(&batch, group, patience).await;
        }
    }

    /// Does the changes of one organization.
    async fn serve_group(&self, batch: &Batch<Call>, calls: Vec<(Load, Call)>, patience: Patience) {
        match self.under_locks(&calls, patience).await {
            Ok(locked) => conclude(batch, calls, locked),
            Err(failure) => self.serve_one(batch, calls, failure, patience).await,
        }
    }

    /// Does the changes of one organization one by one, after all of them together have failed; but waits on where it was for a
    /// lock.
    async fn serve_one(
        &self,
        batch: &Batch<Call>,
        calls: Vec<(Load, Call)>,
        failure: Failure,
        patience: Patience,
    ) {
        match failure {
            Failure::Other(StoreError::Locked(_)) => return batch.put_back(calls, Contended::Locked),
            Failure::Other(error @ StoreError::Unavailable(_)) => return finish(batch, calls, Err(error)),
            failure if calls.len() == 1 => {
                let organization = calls[0].0.organization;
                let error = meaning(failure, &calls[0].1.asked);
                finish(batch, calls, Ok(vec![Ok(Err(error))]));
                return batch.calm(organization, true);
            }
            _ => {}
        }
        let mut calls = calls.into_iter();
        while let Some(call) = calls.next() {
            let one = vec![call];
            match self.under_locks(&one, patience).await {
                Ok(locked) => conclude(batch, one, locked),
                Err(Failure::Other(StoreError::Locked(_))) => {
                    return batch.put_back(one.into_iter().chain(calls).collect(), Contended::Locked);
                }
                Err(Failure::Other(error @ StoreError::Unavailable(_))) => {
                    return finish(batch, one.into_iter().chain(calls).collect(), Err(error));
                }
                Err(failure) => {
                    let error = meaning(failure, &one[0].1.asked);
                    finish(batch, one, Ok(vec![Ok(Err(error))]));
                }
            }
        }
    }

    /// Does the changes in a transaction that holds the heads' locks.
    async fn under_locks(&self, calls: &[(Load, Call)], patience: Patience) -> Result<Locked, Failure> {
        let changes = changes_of(calls);
        let own = self.clone();
        self.connections.guarded(async move { own.change_locked(&changes, patience).await }).await
    }

    /// Does the changes of all organizations whose heads can be locked.
    async fn change_locked(&self, changes: &[Change], patience: Patience) -> Result<Locked, Failure> {
        let organizations: HashSet<_> = changes.iter().map(|change| change.organization_id).collect();
        let (mut lent, free) = self.lock_heads(&organizations, patience).await?;
        let is_free = |change: &&Change| free.contains(&change.organization_id);
        let free_changes: Vec<_> = changes.iter().filter(is_free).collect();
        let mut plan = Plan::default();
        let readings = read(&mut lent, free_changes.iter().copied()).await?;
        let mut outcomes = free_changes
            .iter()
            .zip(readings)
            .map(|(change, reading)| plan.decide(change, reading?))
            .collect::<Vec<_>>()
            .into_iter();
        idempotency_keys::delete_expired(&mut lent, free_changes.iter().map(|change| &***change)).await?;
        let saved = save(&mut lent, &plan, self.signer.as_deref()).await?;
        if saved.len() < plan.heads.len() {
            return Err(Failure::Other(StoreError::Internal("the head moved under its lock".into())));
        }
        lent.commit().await?;
        self.tell(&mut plan, &saved);
        let done =
            free.iter().map(|organization| (*organization, self.keep_head(*organization, &plan, &saved)));
        let done = done.collect();
        let attempted = |change: &Change| {
            let outcome = free.contains(&change.organization_id).then(|| outcomes.next()).flatten();
            outcome.ok_or(Contended::Locked)
        };
        Ok(Locked { attempted: changes.iter().map(attempted).collect(), done })
    }

    /// Keeps the head that the plan has left; whether nobody else has moved it since it was kept last.
    fn keep_head(&self, organization: OrganizationId, plan: &Plan, saved: &Saved) -> bool {
        let kept = self.heads.take(organization);
        let Some(moved) = plan.heads.get(&organization) else { return true };
        if let Some(row) = saved.get(&organization) {
            self.heads.put(organization, moved.to, row.clone());
        }
        kept.is_some_and(|(_, row)| row.revision == moved.row.revision)
    }

    /// Locks the heads of the organizations: all of them, or, where one is held by somebody for longer than a moment, those that
    /// are free.
    async fn lock_heads(
        &self,
        organizations: &HashSet<OrganizationId>,
        patience: Patience,
    ) -> Result<(Lent, HashSet<OrganizationId>), Failure> {
        let ids: Vec<_> = organizations.iter().map(|organization| organization.uuid()).collect();
        let mut lent = self.connections.begin_waiting(patience.what, patience.wait).await?;
        match select_heads(&mut lent, sql::LOCK_HEADS, &ids).await {
            Err(Failure::Other(StoreError::Locked(_))) if ids.len() > 1 => {
                lent.rollback().await?;
                lent.begin_waiting(patience.wait).await?;
                let free = select_heads(&mut lent, sql::LOCK_FREE_HEADS, &ids).await?;
                Ok((lent, free))
            }
            Err(failure) => Err(failure),
            // An organization without a head is there: what is wrong with it shows when it is read.
            Ok(_) => Ok((lent, organizations.clone())),
        }
    }
}

async fn select_heads(
    lent: &mut Lent,
    statement: &'static str,
    organizations: &[Uuid],
) -> Result<HashSet<OrganizationId>, Failure> {
    let heads: Vec<Uuid> = sqlx::query_scalar(statement).bind(organizations).fetch_all(lent).await?;
    Ok(heads.into_iter().map(OrganizationId::from_uuid).collect())
}

/// Answers what was done, and notes which organizations nobody is in the way of any more.
fn conclude(batch: &Batch<Call>, calls: Vec<(Load, Call)>, locked: Locked) {
    finish(batch, calls, Ok(locked.attempted));
    for (organization, is_alone) in locked.done {
        batch.calm(organization, is_alone);
    }
}

/// The calls of each organization, in their order.
fn by_organization(calls: Vec<(Load, Call)>) -> Vec<Vec<(Load, Call)>> {
    let mut groups: Vec<Vec<_>> = Vec::new();
    let mut places = HashMap::new();
    for (load, call) in calls {
        let place = *places.entry(load.organization).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push((load, call));
    }
    groups
}

/// Translates the failure to save a single change.
fn meaning(failure: Failure, change: &AlertChange) -> StoreError {
    let taken = || StoreError::Internal("the id of the alert, or its place in the history, is taken".into());
    let gone = change.status().map_or_else(taken, |status| StoreError::UnknownStatus(status.clone()));
    failure.meaning(taken(), gone)
}
