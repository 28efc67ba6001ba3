//! `AlertService`.

use tonic::{Request, Response, Status};

use super::{
    convert,
    pb::{
        Alert, FlagEntityRequest, FlagEntityResponse, GetAlertRequest, GetAlertResponse, ListAlertsRequest,
        ListAlertsResponse, UpdateAlertRequest, UpdateAlertResponse, alert_service_server::AlertService,
    },
    status::status,
};
use crate::{auth::Caller, error::Error, service::Service};

/// The calls on alerts.
pub struct Alerts {
    service: Service,
}

impl Alerts {
    /// The calls on `service`.
    pub const fn new(service: Service) -> Self {
        Self { service }
    }
}

/// Who calls, and with what; the guard has let it pass.
pub fn open<T>(mut request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = request.extensions_mut().remove::<Caller>();
    let caller = caller.ok_or_else(|| status(&Error::internal("a call has passed no guard")))?;
    Ok((caller, request.into_inner()))
}

/// What a method answers.
pub fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| status(&error))
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn flag_entity(
        &self,
        request: Request<FlagEntityRequest>,
    ) -> Result<Response<FlagEntityResponse>, Status> {
        let (caller, message) = open(request)?;
        let flagged = self.service.flag_entity(&caller, convert::flag_input(message)).await;
        answer(flagged.map(|alert| FlagEntityResponse { alert: Some(Alert::from(alert)) }))
    }

    async fn update_alert(
        &self,
        request: Request<UpdateAlertRequest>,
    ) -> Result<Response<UpdateAlertResponse>, Status> {
        let (caller, message) = open(request)?;
        let input = convert::update_input(message).map_err(|error| status(&error))?;
        let updated = self.service.update_alert(&caller, input).await;
        answer(updated.map(|alert| UpdateAlertResponse { alert: Some(Alert::from(alert)) }))
    }

    async fn get_alert(
        &self,
        request: Request<GetAlertRequest>,
    ) -> Result<Response<GetAlertResponse>, Status> {
        let (caller, message) = open(request)?;
        let found = self.service.alert(&caller, &message.anomaly_id).await;
        answer(found.map(|alert| GetAlertResponse { alert: Some(Alert::from(alert)) }))
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let (caller, message) = open(request)?;
        let listed = self.service.list_alerts(&caller, convert::list_input(message)).await;
        answer(listed.map(|page| ListAlertsResponse {
            alerts: page.alerts.into_iter().map(Alert::from).collect(),
            next_page_token: page.next_page_token,
            total_size: page.total,
        }))
    }
}
