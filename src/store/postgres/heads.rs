//! What this instance knows of the heads that it has left behind.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::{Head, OrganizationId};

/// For how long every batch reads the head once another instance was seen to move it.
const SHARED_FOR: Duration = Duration::from_secs(1);
/// How many heads are remembered: beyond, all are forgotten and read again.
const MOST: usize = 10_000;

/// The heads as the batches before have left them. Whether one still is so shows when something is saved.
#[derive(Default)]
pub struct Heads(Mutex<HashMap<OrganizationId, Known>>);

enum Known {
    /// With its revision.
    Left(Head, i64),
    /// Another instance is taken to be at work on it.
    SharedUntil(Instant),
}

impl Heads {
    /// The head with its revision, to be left again by whoever takes it.
    pub fn take(&self, organization: OrganizationId) -> Option<(Head, i64)> {
        let mut heads = self.lock();
        match heads.get(&organization)? {
            Known::SharedUntil(_) => None,
            &Known::Left(head, revision) => {
                heads.remove(&organization);
                Some((head, revision))
            }
        }
    }

    /// Notes the head that a batch has left behind.
    pub fn leave(&self, organization: OrganizationId, head: Head, revision: i64) {
        let mut heads = self.lock();
        if let Some(Known::SharedUntil(until)) = heads.get(&organization)
            && *until > Instant::now()
        {
            return;
        }
        if heads.len() >= MOST {
            heads.clear();
        }
        heads.insert(organization, Known::Left(head, revision));
    }

    /// Notes that another instance has moved the head.
    pub fn note_another(&self, organization: OrganizationId) {
        self.lock().insert(organization, Known::SharedUntil(Instant::now() + SHARED_FOR));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, Known>> {
        // Each entry is whole whatever happened to whoever held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
