//! A semaphore whose permits go to organizations in turns.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::StoreError;
use crate::domain::OrganizationId;

/// How many may wait for one organization.
const MOST_WAITING: usize = 4_096;

/// Hands out permits to organizations in turns, to those of one organization in their order.
pub struct FairSemaphore(Mutex<Waiting>);

struct Waiting {
    free: usize,
    is_closed: bool,
    lines: HashMap<OrganizationId, VecDeque<oneshot::Sender<Permit>>>,
    /// The organizations that wait, in the order in which they are served.
    order: VecDeque<OrganizationId>,
}

/// A permit, given back when it is dropped.
pub struct Permit(Option<Arc<FairSemaphore>>);

impl FairSemaphore {
    /// Has so many permits.
    pub fn new(permits: usize) -> Arc<Self> {
        let waiting =
            Waiting { free: permits, is_closed: false, lines: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self(Mutex::new(waiting)))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many of the organization wait already, [`StoreError::Unavailable`] once it is closed.
    pub async fn acquire(self: &Arc<Self>, organization: OrganizationId) -> Result<Permit, StoreError> {
        let given = {
            let mut waiting = self.lock();
            if waiting.is_closed {
                return Err(closed());
            }
            if waiting.free > 0 {
                waiting.free -= 1;
                return Ok(Permit(Some(Arc::clone(self))));
            }
            waiting.line_up(organization)?
        };
        given.await.map_err(|_| closed())
    }

    /// Gives out no more permits; whoever waits is told.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.lines.clear();
        waiting.order.clear();
    }

    /// Returns true once it was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// How many permits nobody has.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.lock().free
    }

    fn release(self: Arc<Self>) {
        let mut waiting = self.lock();
        while let Some(next) = waiting.next() {
            match next.send(Permit(Some(Arc::clone(&self)))) {
                Ok(()) => return,
                // The caller has left. Its permit must not be given back by a drop under the lock.
                Err(mut permit) => drop(permit.0.take()),
            }
        }
        waiting.free += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The state is consistent between changes, none of which runs code that may panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn line_up(&mut self, organization: OrganizationId) -> Result<oneshot::Receiver<Permit>, StoreError> {
        let line = self.lines.entry(organization).or_default();
        if line.len() >= MOST_WAITING {
            line.retain(|waiting| !waiting.is_closed());
        }
        if line.len() >= MOST_WAITING {
            return Err(StoreError::Busy);
        }
        if line.is_empty() {
            self.order.push_back(organization);
        }
        let (give, given) = oneshot::channel();
        line.push_back(give);
        Ok(given)
    }

    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        loop {
            let organization = self.order.pop_front()?;
            let Some(line) = self.lines.get_mut(&organization) else { continue };
            let next = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&organization);
            } else {
                self.order.push_back(organization);
            }
            if next.is_some() {
                return next;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(semaphore) = self.0.take() {
            semaphore.release();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, task::Poll};

    use uuid::Uuid;

    use super::*;

    type Acquiring = Pin<Box<dyn Future<Output = Result<Permit, StoreError>>>>;

    fn acquiring(semaphore: &Arc<FairSemaphore>, organization: u128) -> Acquiring {
        let semaphore = Arc::clone(semaphore);
        let organization = OrganizationId::from_uuid(Uuid::from_u128(organization));
        Box::pin(async move { semaphore.acquire(organization).await })
    }

    async fn poll(acquiring: &mut Acquiring) -> Poll<Result<Permit, StoreError>> {
        std::future::poll_fn(|context| Poll::Ready(acquiring.as_mut().poll(context))).await
    }

    #[tokio::test]
    async fn organizations_take_turns() {
        let semaphore = FairSemaphore::new(1);
        let held = acquiring(&semaphore, 1).await.unwrap();
        let mut waiting = [1, 1, 1, 2].map(|organization| acquiring(&semaphore, organization));
        for one in &mut waiting {
            assert!(poll(one).await.is_pending());
        }
        drop(held);
        let [first, second, third, other] = waiting;
        drop(first.await.unwrap());
        // Before the second of the first organization, which came before it.
        drop(other.await.unwrap());
        drop(second.await.unwrap());
        drop(third.await.unwrap());
    }

    #[tokio::test]
    async fn who_leaves_takes_no_permit_along() {
        let semaphore = FairSemaphore::new(1);
        let held = acquiring(&semaphore, 1).await.unwrap();
        let (mut leaving, mut given, mut last) =
            (acquiring(&semaphore, 1), acquiring(&semaphore, 2), acquiring(&semaphore, 3));
        for one in [&mut leaving, &mut given, &mut last] {
            assert!(poll(one).await.is_pending());
        }
        drop(leaving);
        drop(held);
        // It was given its permit, and leaves without a look at it.
        drop(given);
        drop(last.await.unwrap());
        drop(acquiring(&semaphore, 4).await.unwrap());
    }

    #[tokio::test]
    async fn too_many_of_one_organization_are_refused_and_the_closed_gives_none() {
        let semaphore = FairSemaphore::new(0);
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| acquiring(&semaphore, 1)).collect();
        for one in &mut waiting {
            assert!(poll(one).await.is_pending());
        }
        assert!(matches!(acquiring(&semaphore, 1).await, Err(StoreError::Busy)));
        assert!(poll(&mut acquiring(&semaphore, 2)).await.is_pending());
        semaphore.close();
        assert!(matches!(waiting.remove(0).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(acquiring(&semaphore, 2).await, Err(StoreError::Unavailable(_))));
    }
}
