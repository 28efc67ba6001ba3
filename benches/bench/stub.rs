//! Servers that redflag is compared with: the same contract, the same transport, less behind it.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use redflag::grpc::pb::{
    Alert, EntityType, FlagEntityRequest, StatusClass,
    alert_service_server::{AlertService, AlertServiceServer},
};
use tonic::transport::{Server, server::TcpIncoming};
use uuid::Uuid;

/// Serves until it is killed, on a free port that it prints as redflag does.
pub async fn serve(service: impl AlertService) -> anyhow::Result<()> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("listening on http://{}", incoming.local_addr()?);
    let router = Server::builder().add_service(AlertServiceServer::new(service));
    Ok(router.serve_with_incoming(incoming).await?)
}

/// The alert that a request asks for, with everything that redflag would fill in.
pub fn alert_of(request: FlagEntityRequest, id: Uuid, organization: Uuid) -> Alert {
    let now = now();
    Alert {
        anomaly_id: format!("ano_{id}"),
        title: request.title,
        description: request.description,
        r#type: EntityType::Balance.into(),
        assigned_to: request.assigned_to.unwrap_or_else(|| "admin".to_owned()),
        status: "FLAGGED".to_owned(),
        created_at: Some(now),
        updated_at: Some(now),
        affected_balances: vec![request.entity_id],
        organization_id: format!("org_{organization}"),
        status_class: StatusClass::Open.into(),
        severity: request.severity,
        metadata: Some(request.metadata.unwrap_or_default()),
        version: 1,
        occurrence_count: 1,
        last_occurred_at: Some(now),
        ..Alert::default()
    }
}

/// An id that sorts by time.
#[expect(clippy::disallowed_methods, reason = "nothing depends on which ids a stub makes")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

#[expect(clippy::disallowed_methods, reason = "nothing depends on what time a stub tells")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i32::try_from(since.subsec_micros()).unwrap_or_default();
    Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or_default(), nanos: micros * 1_000 }
}

/// Refuses the calls that a stub is never asked for. Written as `async_trait` would: it does not see through macros.
macro_rules! refuse {
    ($($call:ident($request:ident) -> $response:ident),+ $(,)?) => {$(
        fn $call<'s, 'f>(
            &'s self,
            _: tonic::Request<redflag::grpc::pb::$request>,
        ) -> std::pin::Pin<Box<
            dyn Future<Output = Result<tonic::Response<redflag::grpc::pb::$response>, tonic::Status>> + Send + 'f,
        >>
        where
            's: 'f,
            Self: 'f,
        {
            Box::pin(async { Err(tonic::Status::unimplemented("never measured")) })
        }
    )+};
}
pub(crate) use refuse;
