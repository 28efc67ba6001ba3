//! Reading a stretch of a feed, a page at a time.

use crate::{
    domain::{AlertEvent, HeadSignature, OrganizationId, PageSize},
    store::{FeedStore, StoreError},
};

/// Reads the events of an organization after one position up to another, in order. Holds one page at a time, whose count and
/// bytes are bounded.
pub struct FeedReader<'s> {
    store: &'s dyn FeedStore,
    organization: OrganizationId,
    /// The position of the last event that was read.
    position: i64,
    end: i64,
}

impl<'s> FeedReader<'s> {
    /// Reads the events after the position `after` up to the position `end`.
    pub fn new(store: &'s dyn FeedStore, organization: OrganizationId, after: i64, end: i64) -> Self {
        Self { store, organization, position: after, end }
    }

    /// The position of the last event that was read.
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Reads the next page; `None` at the end. Also where events are missing: then [`Self::position`] lies before the end.
    ///
    /// # Errors
    /// Those of the store; after an event that makes no sense, nothing more can be read.
    pub async fn next(&mut self) -> Result<Option<Vec<AlertEvent>>, StoreError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let page = self.store.events(self.organization, self.position, PageSize::MAX).await?;
        let mut events = page.items;
        events.truncate(events.partition_point(|event| event.position <= self.end));
        let Some(last) = events.last() else { return Ok(None) };
        self.position = last.position;
        Ok(Some(events))
    }
}

/// Reads the signatures of heads after one position up to another, in order, a page at a time.
pub struct SignatureReader<'s> {
    store: &'s dyn FeedStore,
    organization: OrganizationId,
    position: i64,
    end: i64,
    has_more: bool,
}

impl<'s> SignatureReader<'s> {
    /// Reads the signatures of heads after the position `after` up to the position `end`.
    pub fn new(store: &'s dyn FeedStore, organization: OrganizationId, after: i64, end: i64) -> Self {
        Self { store, organization, position: after, end, has_more: true }
    }

    /// The position of the last signature that was read.
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Reads the next page; `None` at the end.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&mut self) -> Result<Option<Vec<HeadSignature>>, StoreError> {
        if !self.has_more || self.position >= self.end {
            return Ok(None);
        }
        let page = self.store.head_signatures(self.organization, self.position, PageSize::MAX).await?;
        let mut signatures = page.items;
        let within = signatures.partition_point(|signature| signature.position <= self.end);
        self.has_more = page.has_more && within == signatures.len();
        signatures.truncate(within);
        let Some(last) = signatures.last() else { return Ok(None) };
        self.position = last.position;
        Ok(Some(signatures))
    }
}
