//! The live end of one organization's feed, shared by all who follow it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::{
    domain::{AlertEvent, EstimatedSize, OrganizationId, PageSize},
    store::{FeedStore, StoreError},
};

/// The most events that are kept.
const MAX_EVENTS: usize = 1_024;
/// The most bytes of events that are kept.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long a lost notification may delay an event: the feed is looked at that often.
pub const POLL_EVERY: Duration = Duration::from_secs(1);

/// The last events of a feed. It takes those that this process commits, and reads those of other instances, once for all who
/// follow it. Who falls behind what is kept reads from the database.
pub struct Tail {
    /// The organization.
    pub organization: OrganizationId,
    recent: Mutex<Recent>,
    /// The position of the last event.
    last: watch::Sender<i64>,
    /// Other events may be in the database.
    wake: Notify,
}

/// The events that are kept, without a gap.
struct Recent {
    events: VecDeque<Arc<AlertEvent>>,
    bytes: usize,
    /// The position of the last event, kept or not.
    last: i64,
}

/// The next events of a tail, for a follower.
pub enum Next {
    /// The events that follow, at least one.
    Events(Vec<Arc<AlertEvent>>),
    /// They are no longer kept: they must be read from the database.
    Behind,
    /// There are none yet.
    UpToDate,
}

impl Tail {
    /// The tail of a feed whose last event is at `last`.
    pub fn new(organization: OrganizationId, last: i64) -> Self {
        let recent = Recent { events: VecDeque::new(), bytes: 0, last };
        Self { organization, recent: Mutex::new(recent), last: watch::Sender::new(last), wake: Notify::new() }
    }

    /// Takes events in the order of their positions. Where there is a gap before one, the database is read instead.
    pub fn extend(&self, events: impl IntoIterator<Item = Arc<AlertEvent>>) {
        let mut recent = self.lock();
        for event in events {
            let expected = recent.last + 1;
            if event.position == expected {
                recent.push(event);
            } else if event.position > expected {
                self.wake.notify_one();
                break;
            }
        }
        self.last.send_if_modified(|last| std::mem::replace(last, recent.last) != recent.last);
    }

    /// Notes that there may be more in the database.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Follows the position of the last event.
    pub fn last(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }

    /// The events after `position`, at most `most`.
    pub fn after(&self, position: i64, most: usize) -> Next {
        let recent = self.lock();
        if position >= recent.last {
            return Next::UpToDate;
        }
        let kept_after = recent.last - i64::try_from(recent.events.len()).unwrap_or(i64::MAX);
        match usize::try_from(position - kept_after) {
            Ok(skipped) => Next::Events(recent.events.iter().skip(skipped).take(most).cloned().collect()),
            Err(_) => Next::Behind,
        }
    }

    /// Reads what is in the database beyond the last event.
    async fn read(&self, store: &dyn FeedStore) -> Result<(), StoreError> {
        loop {
            let after = self.lock().last;
            let page = store.events(self.organization, after, PageSize::MAX).await?;
            self.extend(page.items.into_iter().map(Arc::new));
            if !page.has_more {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn push(&mut self, event: Arc<AlertEvent>) {
        self.last = event.position;
        self.bytes += event.estimated_size();
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            let dropped = self.events.pop_front();
            self.bytes -= dropped.map_or(0, |event| event.estimated_size());
        }
    }
}

/// Keeps a tail up to date until nobody follows it: reads when it is woken, and now and then in case nobody could wake it.
pub async fn keep(tail: Weak<Tail>, store: Arc<dyn FeedStore>) {
    while let Some(held) = tail.upgrade() {
        // Either way the database is looked at.
        let _ = timeout(POLL_EVERY, held.wake.notified()).await;
        if let Err(error) = held.read(store.as_ref()).await {
            tracing::debug!(%error, organization_id = %held.organization, "can't read a feed, trying again");
            drop(held);
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}
