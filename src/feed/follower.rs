//! Following a feed: every event after a position, in order, none twice, as long as one likes.

use std::sync::Arc;

use tokio::{sync::watch, time::sleep};

use super::{
    hub::Hub,
    tail::{self, Next, POLL_EVERY, Tail},
};
use crate::{
    domain::{AlertEvent, OrganizationId, PageSize},
    error::{Error, Reason},
    store::{FeedStore, StoreError},
};

/// The most events that are answered at once.
const MOST: usize = 256;

/// The feeds of a store, to be followed.
#[derive(Clone)]
pub struct Feed {
    store: Arc<dyn FeedStore>,
    hub: Arc<Hub>,
}

impl Feed {
    /// The feeds of `store`, of whose commits `hub` learns.
    pub fn new(store: Arc<dyn FeedStore>, hub: Arc<Hub>) -> Self {
        Self { store, hub }
    }

    /// Follows the feed of an organization after a position, or from now on.
    ///
    /// # Errors
    /// [`Reason::NotFound`] when there is no such organization; [`Reason::ValidationError`] when the position lies beyond the
    /// feed, with the last one.
    pub async fn follow(&self, organization: OrganizationId, after: Option<i64>) -> Result<Follower, Error> {
        let missing = || Error::new(Reason::NotFound, "there is no such organization");
        let head = self.store.head(organization).await?.ok_or_else(missing)?;
        let position = after.unwrap_or(head.position);
        if position > head.position {
            let message = format!("the feed ends at position {}, {position} lies beyond", head.position);
            let error = Error::new(Reason::ValidationError, message);
            return Err(error.with("last_position", head.position));
        }
        let (tail, is_new) = self.hub.add(Tail::new(organization, head.position));
        if is_new {
            // Commits since the head was read were told to nobody.
            tail.wake();
            let (hub, store, kept) = (Arc::clone(&self.hub), Arc::clone(&self.store), Arc::downgrade(&tail));
            tokio::spawn(async move {
                tail::keep(kept, store).await;
                hub.tidy();
            });
        }
        Ok(Follower { store: Arc::clone(&self.store), last: tail.last(), tail, position })
    }
}

/// Follows one feed. What is recent comes from memory that all followers share; whoever is behind reads the database, at their
/// own pace.
pub struct Follower {
    store: Arc<dyn FeedStore>,
    tail: Arc<Tail>,
    last: watch::Receiver<i64>,
    position: i64,
}

impl Follower {
    /// The position of the last event that was answered; to go on from there later.
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Returns true where every event so far was answered.
    pub fn is_live(&self) -> bool {
        self.position >= *self.last.borrow()
    }

    /// Waits for the events that follow, at least one. Nothing is lost where the wait is given up.
    ///
    /// # Errors
    /// Those of the store, for a follower that is behind.
    pub async fn next(&mut self) -> Result<Vec<Arc<AlertEvent>>, StoreError> {
        loop {
            let events = match self.tail.after(self.position, MOST) {
                Next::Events(events) => events,
                Next::Behind => self.read().await?,
                Next::UpToDate => {
                    let position = self.position;
                    // The tail, which this holds, has the sender.
                    let _ = self.last.wait_for(|last| *last > position).await;
                    continue;
                }
            };
            match events.last() {
                Some(last) => {
                    self.position = last.position;
                    return Ok(events);
                }
                // Somebody has removed events, which only `audit verify` can find out about.
                None => sleep(POLL_EVERY).await,
            }
        }
    }

    async fn read(&self) -> Result<Vec<Arc<AlertEvent>>, StoreError> {
        let page = self.store.events(self.tail.organization, self.position, PageSize::MAX).await?;
        Ok(page.items.into_iter().map(Arc::new).collect())
    }
}
