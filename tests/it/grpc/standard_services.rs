//! The standard services of gRPC: health and reflection.

use redflag::grpc::pb::ListAlertsRequest;
use tonic::Request;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{DatabaseKind, TestApp, keyed};

#[tokio::test]
async fn health_answers_without_a_key_for_the_server_and_each_service() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut health = HealthClient::new(app.channel());
    for service in ["", "redflag.v1.AlertService", "redflag.v1.AlertStatusService", "redflag.v1.AuditService"]
    {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
    }
    let request = HealthCheckRequest { service: "nothing".to_owned() };
    assert_eq!(health.check(request).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_health_watch_is_notified_and_does_not_delay_the_shutdown() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut health = HealthClient::new(app.channel());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let stopped = tokio::spawn(app.stop());
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watch.message().await.unwrap().is_none());
    stopped.await.unwrap();
}

/// Asks one version of reflection for all services, and for the file that holds `symbol`.
macro_rules! reflected {
    ($app:expr, $version:ident, $symbol:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let ask = |what| ServerReflectionRequest { host: String::new(), message_request: Some(what) };
        let requests = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol($symbol.to_owned())),
        ];
        let mut client = ServerReflectionClient::new($app.channel());
        let stream = Request::new(tokio_stream::iter(requests));
        let mut answers = client.server_reflection_info(stream).await.unwrap().into_inner();
        let services = match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let files = match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::FileDescriptorResponse(files)) => files.file_descriptor_proto.len(),
            other => panic!("{other:?}"),
        };
        (services, files)
    }};
}

#[tokio::test]
async fn reflection_answers_without_a_key_in_both_versions() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let (services, files) = reflected!(app, v1, "redflag.v1.AlertService");
    for service in ["AlertService", "AlertStatusService", "AuditService"] {
        assert!(services.contains(&format!("redflag.v1.{service}")), "{services:?}");
    }
    assert!(files > 0);
    // Tools print the details of errors with this.
    let (services, files) = reflected!(app, v1alpha, "google.rpc.ErrorInfo");
    assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
    assert!(files > 0);
}

#[tokio::test]
async fn one_connection_carries_many_calls_at_once() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let calls = (0..200).map(|_| {
        let mut alerts = app.alerts();
        tokio::spawn(async move { alerts.list_alerts(keyed(ListAlertsRequest::default())).await.map(drop) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
}
