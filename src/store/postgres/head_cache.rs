//! The heads of feeds as this instance has left them: what plain flags are decided from, without reading it again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{Head, OrganizationId},
    store::shared::decision_input::HeadRow,
};

/// How many heads are kept: beyond, all are forgotten and read again.
const MOST: usize = 10_000;

/// The heads with their rows. Whether one still is so shows when something is saved.
#[derive(Default)]
pub struct HeadCache(Mutex<HashMap<OrganizationId, (Head, HeadRow)>>);

impl HeadCache {
    /// The head with its row, to be put again by whoever takes it.
    pub fn take(&self, organization: OrganizationId) -> Option<(Head, HeadRow)> {
        self.lock().remove(&organization)
    }

    /// Keeps the head that a batch has left.
    pub fn put(&self, organization: OrganizationId, head: Head, row: HeadRow) {
        let mut heads = self.lock();
        if heads.len() >= MOST {
            heads.clear();
        }
        heads.insert(organization, (head, row));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, (Head, HeadRow)>> {
        // Each entry is whole whatever happened to whoever held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
