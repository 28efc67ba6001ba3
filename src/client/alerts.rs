//! Calls of `AlertService`.

use super::{Client, Error, mutation::Mutation, pb};
use pb::alert_service_client::AlertServiceClient;

impl Client {
    /// Flags a ledger entity: makes an alert, or folds into one by its `dedup_key`. Fills in an empty `request_id`, so that a retry never changes twice.
    ///
    /// # Errors
    /// `ALERT_INVALID_ENTITY_ID`, `ALERT_UNKNOWN_STATUS`, `GEN_VALIDATION_ERROR`, `ALERT_DISPOSITION_REQUIRED`,
    /// `IDEMPOTENCY_KEY_REUSED`, and those of every call.
    pub async fn flag_entity(&self, request: pb::FlagEntityRequest) -> Result<pb::FlagEntityResponse, Error> {
        self.call(request.with_request_id(), |channel, request| async move {
            AlertServiceClient::new(channel).flag_entity(request).await
        })
        .await
    }

    /// Changes the fields of an alert that the mask names. Fills in an empty `request_id`, so that a retry never changes twice.
    ///
    /// # Errors
    /// `ALERT_NOT_FOUND`, `ALERT_INVALID_ENTITY_ID`, `ALERT_UNKNOWN_STATUS`, `GEN_VALIDATION_ERROR`,
    /// `ALERT_VERSION_CONFLICT`, `ALERT_DISPOSITION_REQUIRED`, `ALERT_DEDUP_KEY_IN_USE`, `IDEMPOTENCY_KEY_REUSED`, and those
    /// of every call.
    pub async fn update_alert(
        &self,
        request: pb::UpdateAlertRequest,
    ) -> Result<pb::UpdateAlertResponse, Error> {
        self.call(request.with_request_id(), |channel, request| async move {
            AlertServiceClient::new(channel).update_alert(request).await
        })
        .await
    }

    /// Escalates an alert to people. Fills in an empty `request_id`, so that a retry never changes twice.
    ///
    /// # Errors
    /// `ALERT_NOT_FOUND`, `GEN_VALIDATION_ERROR`, `ALERT_VERSION_CONFLICT`, `IDEMPOTENCY_KEY_REUSED`, and those of every call.
    pub async fn escalate_alert(
        &self,
        request: pb::EscalateAlertRequest,
    ) -> Result<pb::EscalateAlertResponse, Error> {
        self.call(request.with_request_id(), |channel, request| async move {
            AlertServiceClient::new(channel).escalate_alert(request).await
        })
        .await
    }

    /// Reads one alert.
    ///
    /// # Errors
    /// `ALERT_NOT_FOUND`, and those of every call.
    pub async fn get_alert(&self, request: pb::GetAlertRequest) -> Result<pb::GetAlertResponse, Error> {
        self.call(request, |channel, request| async move {
            AlertServiceClient::new(channel).get_alert(request).await
        })
        .await
    }

    /// Reads one page of alerts.
    ///
    /// # Errors
    /// `GEN_VALIDATION_ERROR`, `ALERT_INVALID_ENTITY_ID`, `ALERT_UNKNOWN_STATUS`, `GEN_INVALID_PAGE_TOKEN`, and those of
    /// every call.
    pub async fn list_alerts(&self, request: pb::ListAlertsRequest) -> Result<pb::ListAlertsResponse, Error> {
        self.call(request, |channel, request| async move {
            AlertServiceClient::new(channel).list_alerts(request).await
        })
        .await
    }

    /// Reads one page of the history of an alert, oldest first.
    ///
    /// # Errors
    /// `ALERT_NOT_FOUND`, `GEN_VALIDATION_ERROR`, `GEN_INVALID_PAGE_TOKEN`, and those of every call.
    pub async fn list_alert_events(
        &self,
        request: pb::ListAlertEventsRequest,
    ) -> Result<pb::ListAlertEventsResponse, Error> {
        self.call(request, |channel, request| async move {
            AlertServiceClient::new(channel).list_alert_events(request).await
        })
        .await
    }
}
