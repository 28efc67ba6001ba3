//! Reads the feed of events, and of signatures.

use async_trait::async_trait;

use crate::{
    domain::{AlertEvent, AnomalyId, ChainHash, Head, HeadSignature, OrganizationId, Page, PageSize},
    store::StoreError,
};

/// Reads the feed of events, and of signatures.
#[async_trait]
pub trait FeedStore: Send + Sync {
    /// Reads one page of the organization's feed: the events after `position`, in order, without gaps. A page ends early
    /// like one of alerts.
    async fn events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError>;

    /// Reads one page of an alert's history: the events after `sequence`, oldest first. It is empty where there is no
    /// such alert.
    async fn alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError>;

    /// Reads where the organization's feed ends, or `None` when there is no such organization.
    async fn head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError>;

    /// Reads one page of the signatures of the organization's heads: those of heads after `position`, in order. A head is signed
    /// where the store was opened with a key ([`crate::store::connect::Options::signer`]), in the transaction that moves it; the signature
    /// covers the events that this transaction appends.
    async fn head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError>;

    /// The positions of the events that say they follow the event with this hash; at most one in a sound feed. Reads the
    /// whole feed: it is for finding out what is wrong with one that is not.
    async fn positions_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError>;
}
