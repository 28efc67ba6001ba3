//! A server that does nothing but answer: what the transport alone costs.

use redflag::grpc::pb::{
    FlagEntityRequest, FlagEntityResponse, GetAlertRequest, GetAlertResponse, Severity,
    alert_service_server::AlertService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    callers::{DESCRIPTION, TITLE},
    stub,
};

/// Answers from what it was asked.
pub struct Echo;

#[tonic::async_trait]
impl AlertService for Echo {
    async fn flag_entity(
        &self,
        request: Request<FlagEntityRequest>,
    ) -> Result<Response<FlagEntityResponse>, Status> {
        let alert = stub::alert_of(request.into_inner(), stub::new_id(), Uuid::nil());
        Ok(Response::new(FlagEntityResponse { alert: Some(alert), deduplicated: false }))
    }

    async fn get_alert(
        &self,
        request: Request<GetAlertRequest>,
    ) -> Result<Response<GetAlertResponse>, Status> {
        let flagged = FlagEntityRequest {
            entity_id: format!("bln_{}", Uuid::nil()),
            title: TITLE.to_owned(),
            description: DESCRIPTION.to_owned(),
            severity: Severity::High.into(),
            ..FlagEntityRequest::default()
        };
        let mut alert = stub::alert_of(flagged, Uuid::nil(), Uuid::nil());
        alert.anomaly_id = request.into_inner().anomaly_id;
        Ok(Response::new(GetAlertResponse { alert: Some(alert) }))
    }

    stub::refuse! {
        update_alert(UpdateAlertRequest) -> UpdateAlertResponse,
        escalate_alert(EscalateAlertRequest) -> EscalateAlertResponse,
        list_alerts(ListAlertsRequest) -> ListAlertsResponse,
        list_alert_events(ListAlertEventsRequest) -> ListAlertEventsResponse,
    }
}
