//! `AuditService`.

use tonic::{Request, Response, Status};

use super::{
    convert,
    pb::{
        GetAuditHeadRequest, GetAuditHeadResponse, ListEventsRequest, ListEventsResponse,
        audit_service_server::AuditService,
    },
    respond, unpack,
};
use crate::service::Service;

/// The calls of `AuditService`.
pub struct Audit {
    service: Service,
}

impl Audit {
    /// Serves calls with `service`.
    pub const fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let (caller, message) = unpack(request)?;
        let listed = self.service.events(&caller, convert::events_input(message)).await;
        respond(listed.map(|page| ListEventsResponse {
            events: page.events.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_audit_head(
        &self,
        request: Request<GetAuditHeadRequest>,
    ) -> Result<Response<GetAuditHeadResponse>, Status> {
        let (caller, GetAuditHeadRequest {}) = unpack(request)?;
        let head = self.service.head(&caller).await;
        respond(head.map(|head| GetAuditHeadResponse {
            organization_id: caller.organization_id().to_string(),
            position: head.position,
            hash: head.hash.to_string(),
        }))
    }
}
