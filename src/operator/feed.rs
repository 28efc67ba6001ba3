//! Reading the feed of any organization.

use super::Operator;
use crate::{
    domain::{AlertEvent, Head, HeadSignature, OrganizationId, Page, PageSize},
    error::{Error, Reason},
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

    /// Reads one page of the feed of an organization.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn events(
        &self,
        organization: OrganizationId,
        after: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, Error> {
        Ok(self.store.events(organization, after, size).await?)
    }

    /// Reads one page of the signatures of an organization's heads.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn head_signatures(
        &self,
        organization: OrganizationId,
        after: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, Error> {
        Ok(self.store.head_signatures(organization, after, size).await?)
    }
}
