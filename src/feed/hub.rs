//! The tails that are followed, and what wakes them: commits of this process, and notifications of other instances.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use super::tail::Tail;
use crate::{
    domain::{AlertEvent, OrganizationId},
    store::{CommitSink, StoreError, WakeStore},
};

/// How long notifications gather: many commits share one.
const GATHER: Duration = Duration::from_millis(20);

/// Learns of commits, and hands them to the tails of the organizations that are followed.
#[derive(Default)]
pub struct Hub {
    tails: Mutex<HashMap<OrganizationId, Weak<Tail>>>,
    /// Set while there are tails.
    is_followed: AtomicBool,
    /// Set once other instances are notified.
    notifies: AtomicBool,
    /// The organizations that other instances have yet to be told of.
    changed: Mutex<BTreeSet<OrganizationId>>,
    has_changed: Notify,
}

impl Hub {
    /// The tail of an organization, if it is followed.
    pub fn tail(&self, organization: OrganizationId) -> Option<Arc<Tail>> {
        self.tails().get(&organization).and_then(Weak::upgrade)
    }

    /// Adds a tail, unless there is one of the organization by now; returns the one that is there, and true where it is new.
    pub fn add(&self, tail: Tail) -> (Arc<Tail>, bool) {
        let mut tails = self.tails();
        tails.retain(|_, tail| tail.strong_count() > 0);
        if let Some(present) = tails.get(&tail.organization).and_then(Weak::upgrade) {
            return (present, false);
        }
        let tail = Arc::new(tail);
        tails.insert(tail.organization, Arc::downgrade(&tail));
        self.is_followed.store(true, Relaxed);
        (tail, true)
    }

    /// Forgets the tails that nobody follows any more.
    pub fn tidy(&self) {
        let mut tails = self.tails();
        tails.retain(|_, tail| tail.strong_count() > 0);
        self.is_followed.store(!tails.is_empty(), Relaxed);
    }

    /// Wakes the tails as other instances say; ends only with an error, after which it must be run again.
    ///
    /// # Errors
    /// When notifications can't be received any more.
    pub async fn listen(&self, store: &dyn WakeStore) -> Result<(), StoreError> {
        let mut notifications = store.listen().await?;
        // Notifications sent before are lost.
        for tail in self.tails().values().filter_map(Weak::upgrade) {
            tail.wake();
        }
        loop {
            let organization = notifications.next().await?;
            if let Some(tail) = self.tail(organization) {
                tail.wake();
            }
        }
    }

    /// Notifies other instances of commits, apart from them and of many at once; ends only with an error.
    ///
    /// # Errors
    /// When the database takes no notifications. Those that are lost delay what they would have told until the next poll.
    pub async fn notify(&self, store: &dyn WakeStore) -> Result<(), StoreError> {
        self.notifies.store(true, Relaxed);
        loop {
            self.has_changed.notified().await;
            sleep(GATHER).await;
            let changed = mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
            store.notify(&changed.into_iter().collect::<Vec<_>>()).await?;
        }
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<OrganizationId, Weak<Tail>>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitSink for Hub {
    fn is_wanted(&self) -> bool {
        self.is_followed.load(Relaxed) || self.notifies.load(Relaxed)
    }

    fn committed(&self, events: Vec<AlertEvent>) {
        if self.notifies.load(Relaxed) {
            let organizations = events.iter().map(|event| event.organization_id);
            self.changed.lock().unwrap_or_else(PoisonError::into_inner).extend(organizations);
            self.has_changed.notify_one();
        }
        let mut by_organization: HashMap<_, Vec<_>> = HashMap::new();
        for event in events {
            by_organization.entry(event.organization_id).or_default().push(Arc::new(event));
        }
        for (organization, events) in by_organization {
            if let Some(tail) = self.tail(organization) {
                tail.extend(events);
            }
        }
    }
}
