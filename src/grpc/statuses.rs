//! `AlertStatusService`.

use tonic::{Request, Response, Status};

use super::{
    convert,
    pb::{
        AlertStatus, CreateAlertStatusRequest, CreateAlertStatusResponse, DeleteAlertStatusRequest,
        DeleteAlertStatusResponse, ListAlertStatusesRequest, ListAlertStatusesResponse,
        UpdateAlertStatusRequest, UpdateAlertStatusResponse, alert_status_service_server::AlertStatusService,
    },
    respond, respond_changed, unpack,
};
use crate::{
    domain::Colour,
    service::{ListStatusesInput, Service},
};

/// The calls of `AlertStatusService`.
pub struct Statuses {
    service: Service,
}

impl Statuses {
    /// Serves calls with `service`.
    pub const fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl AlertStatusService for Statuses {
    async fn create_alert_status(
        &self,
        request: Request<CreateAlertStatusRequest>,
    ) -> Result<Response<CreateAlertStatusResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let created = self.service.create_status(&caller, convert::new_status_input(message)).await;
        respond_changed(created, |made| CreateAlertStatusResponse { alert_status: Some(made.into()) })
    }

    async fn list_alert_statuses(
        &self,
        request: Request<ListAlertStatusesRequest>,
    ) -> Result<Response<ListAlertStatusesResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let input = ListStatusesInput {
            page_size: Ok(Some(message.page_size.into())),
            page_token: message.page_token,
            refused: Vec::new(),
        };
        let listed = self.service.list_statuses(&caller, input).await;
        respond(listed.map(|page| ListAlertStatusesResponse {
            alert_statuses: page.custom.into_iter().map(AlertStatus::from).collect(),
            next_page_token: page.next_page_token,
            builtin: page.builtin.into_iter().map(AlertStatus::from).collect(),
            allowed_colours: Colour::ALLOWED.map(str::to_owned).to_vec(),
        }))
    }

    async fn update_alert_status(
        &self,
        request: Request<UpdateAlertStatusRequest>,
    ) -> Result<Response<UpdateAlertStatusResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let updated = self.service.update_status(&caller, convert::status_update_input(message)).await;
        respond_changed(updated, |made| UpdateAlertStatusResponse { alert_status: Some(made.into()) })
    }

    async fn delete_alert_status(
        &self,
        request: Request<DeleteAlertStatusRequest>,
    ) -> Result<Response<DeleteAlertStatusResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let idempotency_key = Some(message.request_id.as_str());
        let deleted = self.service.delete_status(&caller, &message.key, idempotency_key).await;
        respond_changed(deleted, |()| DeleteAlertStatusResponse {})
    }
}
