//! Calls of `AuditService`.

use super::{Client, Error, pb};
use pb::audit_service_client::AuditServiceClient;

impl Client {
    /// Reads one page of the organization's feed, in the order of positions.
    ///
    /// # Errors
    /// `GEN_VALIDATION_ERROR`, `GEN_INVALID_PAGE_TOKEN`, and those of every call.
    pub async fn list_events(&self, request: pb::ListEventsRequest) -> Result<pb::ListEventsResponse, Error> {
        self.call(request, |channel, request| async move {
            AuditServiceClient::new(channel).list_events(request).await
        })
        .await
    }

    /// Reads the end of the feed.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn get_audit_head(
        &self,
        request: pb::GetAuditHeadRequest,
    ) -> Result<pb::GetAuditHeadResponse, Error> {
        self.call(request, |channel, request| async move {
            AuditServiceClient::new(channel).get_audit_head(request).await
        })
        .await
    }
}
