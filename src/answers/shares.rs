//! Room that organizations share: each may take as much as it leaves free, and those that wait take turns.
//!
//! So one organization gets half of all at most, two get a third each, and another finds some. The rule is known from
//! the shared buffers of switches as dynamic thresholds (Choudhury and Hahne, 1998).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::domain::OrganizationId;

/// Hands out room to organizations.
#[derive(Debug)]
pub struct Shares(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    organizations: HashMap<OrganizationId, Part>,
    /// The organizations that wait, in the order in which they are served.
    order: VecDeque<OrganizationId>,
}

/// The part of one organization.
#[derive(Debug, Default)]
struct Part {
    taken: usize,
    line: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    amount: usize,
    give: oneshot::Sender<Share>,
}

/// Room that is taken, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Option<Arc<Shares>>,
    organization: OrganizationId,
    amount: usize,
}

impl Shares {
    /// Has so much room.
    pub fn new(room: usize) -> Arc<Self> {
        let (organizations, order) = Default::default();
        Arc::new(Self(Mutex::new(State { free: room, organizations, order })))
    }

    /// Waits for `amount` of room. `None` never comes: nobody drops those that wait.
    pub async fn take(self: &Arc<Self>, organization: OrganizationId, amount: usize) -> Option<Share> {
        let (give, given) = oneshot::channel();
        {
            let mut state = self.lock();
            state.line_up(organization, Waiting { amount, give });
            self.serve(&mut state);
        }
        given.await.ok()
    }

    /// How much nobody has.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.lock().free
    }

    /// Gives room to all whose turn it is.
    fn serve(self: &Arc<Self>, state: &mut State) {
        while let Some((organization, Waiting { amount, give })) = state.next() {
            state.take(organization, amount);
            let share = Share { shares: Some(Arc::clone(self)), organization, amount };
            if let Err(mut share) = give.send(share) {
                // The caller has left. Its share must not be given back by a drop under the lock.
                drop(share.shares.take());
                state.give_back(organization, amount);
            }
        }
    }

    fn give_back(self: &Arc<Self>, organization: OrganizationId, amount: usize) {
        let mut state = self.lock();
        state.give_back(organization, amount);
        self.serve(&mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between changes, none of which runs code that may panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line_up(&mut self, organization: OrganizationId, waiting: Waiting) {
        let part = self.organizations.entry(organization).or_default();
        if part.line.is_empty() {
            self.order.push_back(organization);
        }
        part.line.push_back(waiting);
    }

    /// The next that gets room. Whoever waits for a smaller share of its own organization keeps no other from theirs.
    fn next(&mut self) -> Option<(OrganizationId, Waiting)> {
        for _ in 0..self.order.len() {
            let organization = self.order.pop_front()?;
            let free = self.free;
            let Some(part) = self.organizations.get_mut(&organization) else { continue };
            part.forget_those_who_left();
            let Some(amount) = part.line.front().map(|waiting| waiting.amount) else {
                self.forget(organization);
                continue;
            };
            if part.may_take(amount, free) {
                let next = part.line.pop_front()?;
                if !part.line.is_empty() {
                    self.order.push_back(organization);
                }
                return Some((organization, next));
            }
            if part.taken == 0 {
                // It has nothing yet: what comes free next is for it.
                self.order.push_front(organization);
                return None;
            }
            self.order.push_back(organization);
        }
        None
    }

    fn take(&mut self, organization: OrganizationId, amount: usize) {
        self.free -= amount;
        self.organizations.entry(organization).or_default().taken += amount;
    }

    fn give_back(&mut self, organization: OrganizationId, amount: usize) {
        self.free += amount;
        if let Some(part) = self.organizations.get_mut(&organization) {
            part.taken -= amount;
        }
        self.forget(organization);
    }

    /// Forgets an organization that has nothing and waits for nothing.
    fn forget(&mut self, organization: OrganizationId) {
        if self.organizations.get(&organization).is_some_and(|part| part.taken == 0 && part.line.is_empty()) {
            self.organizations.remove(&organization);
        }
    }
}

impl Part {
    /// It may take as much as it leaves free, and once all that it asks for.
    const fn may_take(&self, amount: usize, free: usize) -> bool {
        amount <= free && (self.taken == 0 || self.taken + amount <= free - amount)
    }

    fn forget_those_who_left(&mut self) {
        while self.line.pop_front_if(|waiting| waiting.give.is_closed()).is_some() {}
    }
}

impl Share {
    /// Keeps `amount` at most.
    pub fn shrink(&mut self, amount: usize) {
        let less = self.amount.saturating_sub(amount);
        self.amount -= less;
        if let Some(shares) = self.shares.as_ref().filter(|_| less > 0) {
            shares.give_back(self.organization, less);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(shares) = self.shares.take() {
            shares.give_back(self.organization, self.amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, task::Poll};

    use uuid::Uuid;

    use super::*;

    type Taking = Pin<Box<dyn Future<Output = Option<Share>>>>;

    fn taking(shares: &Arc<Shares>, organization: u128, amount: usize) -> Taking {
        let shares = Arc::clone(shares);
        let organization = OrganizationId::from_uuid(Uuid::from_u128(organization));
        Box::pin(async move { shares.take(organization, amount).await })
    }

    async fn poll(taking: &mut Taking) -> Option<Share> {
        match std::future::poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await {
            Poll::Ready(share) => share,
            Poll::Pending => None,
        }
    }

    /// Takes as much as an organization gets.
    async fn fill(shares: &Arc<Shares>, organization: u128) -> Vec<Share> {
        let mut held = Vec::new();
        while let Some(share) = poll(&mut taking(shares, organization, 4)).await {
            held.push(share);
        }
        held
    }

    #[tokio::test]
    async fn an_organization_leaves_as_much_free_as_it_takes() {
        let shares = Shares::new(240);
        let first = fill(&shares, 1).await;
        assert_eq!(first.len(), 30, "half of all");
        let mut others = Vec::new();
        for organization in 2..6 {
            let held = fill(&shares, organization).await;
            assert!(!held.is_empty(), "{organization}");
            others.push(held);
        }
        drop((first, others));
        assert_eq!(shares.free(), 240);
        assert!(shares.lock().organizations.is_empty());
    }

    #[tokio::test]
    async fn organizations_take_turns() {
        let shares = Shares::new(4);
        let held = poll(&mut taking(&shares, 3, 4)).await.unwrap();
        let mut waiting = [1, 1, 2].map(|organization| taking(&shares, organization, 4));
        for one in &mut waiting {
            assert!(poll(one).await.is_none());
        }
        drop(held);
        let [first, second, other] = waiting;
        drop(first.await.unwrap());
        // Before the second of the first organization, which came before it.
        drop(other.await.unwrap());
        drop(second.await.unwrap());
    }

    #[tokio::test]
    async fn what_comes_free_is_for_the_one_that_has_nothing() {
        let shares = Shares::new(12);
        let mut first = poll(&mut taking(&shares, 1, 8)).await.unwrap();
        let mut waiting = taking(&shares, 2, 8);
        assert!(poll(&mut waiting).await.is_none());
        let mut small = taking(&shares, 3, 2);
        assert!(poll(&mut small).await.is_none());
        first.shrink(4);
        drop(waiting.await.unwrap());
        drop(small.await.unwrap());
    }

    #[tokio::test]
    async fn who_leaves_takes_no_room_along() {
        let shares = Shares::new(4);
        let held = poll(&mut taking(&shares, 1, 4)).await.unwrap();
        let (mut leaving, mut given) = (taking(&shares, 1, 4), taking(&shares, 2, 4));
        for one in [&mut leaving, &mut given] {
            assert!(poll(one).await.is_none());
        }
        drop(leaving);
        drop(held);
        // It was given its room, and leaves without a look at it.
        drop(given);
        assert_eq!(shares.free(), 4);
    }
}
