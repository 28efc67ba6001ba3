//! Reading the feed of any organization.

use super::Operator;
use crate::{
    domain::{Head, OrganizationId},
    error::{Error, Reason},
    feed::{FeedReader, SignatureReader},
};

impl Operator {
    /// Reads where the feed of an organization ends.
    ///
    /// # Errors
    /// `GEN_NOT_FOUND` when there is no such organization.
    pub async fn head(&self, organization: OrganizationId) -> Result<Head, Error> {
        let head = self.store.head(organization).await?;
        head.ok_or_else(|| Error::new(Reason::NotFound, "there is no such organization"))
    }

    /// Reads the events of an organization after the position `after` up to `end`.
    pub fn events(&self, organization: OrganizationId, after: i64, end: i64) -> FeedReader<'_> {
        FeedReader::new(self.store.as_ref(), organization, after, end)
    }

    /// Reads the signatures of an organization's heads after the position `after` up to `end`.
    pub fn head_signatures(&self, organization: OrganizationId, after: i64, end: i64) -> SignatureReader<'_> {
        SignatureReader::new(self.store.as_ref(), organization, after, end)
    }
}
