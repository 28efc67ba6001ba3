//! `AlertService`.

use tonic::{Request, Response, Status};

use super::{
    convert,
    pb::{
        Alert, EscalateAlertRequest, EscalateAlertResponse, FlagEntityRequest, FlagEntityResponse,
        GetAlertRequest, GetAlertResponse, ListAlertEventsRequest, ListAlertEventsResponse,
        ListAlertsRequest, ListAlertsResponse, UpdateAlertRequest, UpdateAlertResponse,
        alert_service_server::AlertService,
    },
    respond, respond_changed, unpack,
};
use crate::service::Service;

/// The calls of `AlertService`.
pub struct Alerts {
    service: Service,
}

impl Alerts {
    /// Serves calls with `service`.
    pub const fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn flag_entity(
        &self,
        request: Request<FlagEntityRequest>,
    ) -> Result<Response<FlagEntityResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let flagged = self.service.flag_entity(&caller, convert::flag_input(message)).await;
        respond_changed(flagged, |changed| FlagEntityResponse {
            deduplicated: changed.is_deduplicated,
            alert: Some(changed.alert.into()),
        })
    }

    async fn update_alert(
        &self,
        request: Request<UpdateAlertRequest>,
    ) -> Result<Response<UpdateAlertResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let updated = self.service.update_alert(&caller, convert::update_input(message)).await;
        respond_changed(updated, |changed| UpdateAlertResponse { alert: Some(changed.alert.into()) })
    }

    async fn escalate_alert(
        &self,
        request: Request<EscalateAlertRequest>,
    ) -> Result<Response<EscalateAlertResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let escalated = self.service.escalate_alert(&caller, convert::escalate_input(message)).await;
        respond_changed(escalated, |changed| EscalateAlertResponse { alert: Some(changed.alert.into()) })
    }

    async fn get_alert(
        &self,
        request: Request<GetAlertRequest>,
    ) -> Result<Response<GetAlertResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let found = self.service.alert(&caller, &message.anomaly_id).await;
        respond(found.map(|alert| GetAlertResponse { alert: Some(Alert::from(alert)) }))
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let listed = self.service.list_alerts(&caller, convert::list_input(message)).await;
        respond(listed.map(|page| ListAlertsResponse {
            alerts: page.alerts.into_iter().map(Alert::from).collect(),
            next_page_token: page.next_page_token,
            total_size: page.total,
        }))
    }

    async fn list_alert_events(
        &self,
        request: Request<ListAlertEventsRequest>,
    ) -> Result<Response<ListAlertEventsResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let listed = self.service.alert_events(&caller, convert::alert_events_input(message)).await;
        respond(listed.map(|page| ListAlertEventsResponse {
            events: page.events.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }))
    }
}
