//! Calls of `AlertStatusService`.

use super::{Client, Error, mutation::Mutation, pb};
use pb::alert_status_service_client::AlertStatusServiceClient;

impl Client {
    /// Adds a status. Fills in an empty `request_id`, so that a retry never changes twice.
    ///
    /// # Errors
    /// `GEN_VALIDATION_ERROR`, `STATUS_DUPLICATE_KEY`, `IDEMPOTENCY_KEY_REUSED`, and those of every call.
    pub async fn create_alert_status(
        &self,
        request: pb::CreateAlertStatusRequest,
    ) -> Result<pb::CreateAlertStatusResponse, Error> {
        self.call(request.with_request_id(), |channel, request| async move {
            AlertStatusServiceClient::new(channel).create_alert_status(request).await
        })
        .await
    }

    /// Reads one page of the organization's statuses.
    ///
    /// # Errors
    /// `GEN_VALIDATION_ERROR`, `GEN_INVALID_PAGE_TOKEN`, and those of every call.
    pub async fn list_alert_statuses(
        &self,
        request: pb::ListAlertStatusesRequest,
    ) -> Result<pb::ListAlertStatusesResponse, Error> {
        self.call(request, |channel, request| async move {
            AlertStatusServiceClient::new(channel).list_alert_statuses(request).await
        })
        .await
    }

    /// Changes the name or the colour of a status. Fills in an empty `request_id`, so that a retry never changes twice.
    ///
    /// # Errors
    /// `STATUS_NOT_FOUND`, `STATUS_BUILTIN`, `GEN_VALIDATION_ERROR`, `IDEMPOTENCY_KEY_REUSED`, and those of every call.
    pub async fn update_alert_status(
        &self,
        request: pb::UpdateAlertStatusRequest,
    ) -> Result<pb::UpdateAlertStatusResponse, Error> {
        self.call(request.with_request_id(), |channel, request| async move {
            AlertStatusServiceClient::new(channel).update_alert_status(request).await
        })
        .await
    }

    /// Deletes a status that no alert uses. Fills in an empty `request_id`, so that a retry never changes twice.
    ///
    /// # Errors
    /// `STATUS_NOT_FOUND`, `STATUS_IN_USE`, `STATUS_BUILTIN`, `IDEMPOTENCY_KEY_REUSED`, and those of every call.
    pub async fn delete_alert_status(
        &self,
        request: pb::DeleteAlertStatusRequest,
    ) -> Result<pb::DeleteAlertStatusResponse, Error> {
        self.call(request.with_request_id(), |channel, request| async move {
            AlertStatusServiceClient::new(channel).delete_alert_status(request).await
        })
        .await
    }
}
