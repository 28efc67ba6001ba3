//! Telling of commits.

use std::{fmt, sync::Arc};

use crate::domain::AlertEvent;

/// Learns of commits of this process, once they are durable. A commit whose answer was lost is not told of, and those of
/// several organizations, or of contended ones, may be told of out of order: what must be complete is read from the feed.
pub trait CommitSink: Send + Sync + 'static {
    /// Returns true where somebody wants to know: otherwise no event is kept for it.
    fn is_wanted(&self) -> bool;

    /// Takes the events of a commit. Must not block: others wait.
    fn committed(&self, events: Vec<AlertEvent>);
}

/// Whom to tell of commits, if anybody.
#[derive(Clone, Default)]
pub struct Commits(Option<Arc<dyn CommitSink>>);

impl Commits {
    /// Tells `sink`.
    pub fn to(sink: Arc<dyn CommitSink>) -> Self {
        Self(Some(sink))
    }

    /// Returns true where somebody wants to know.
    pub fn are_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|sink| sink.is_wanted())
    }

    /// Tells of the events of a commit.
    pub fn tell(&self, events: Vec<AlertEvent>) {
        if let Some(sink) = self.0.as_ref().filter(|_| !events.is_empty()) {
            sink.committed(events);
        }
    }
}

impl fmt::Debug for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Commits").field(&self.0.is_some()).finish()
    }
}
