//! The standard services of gRPC: health and reflection.

use redflag::grpc::{Reflection, pb::ListAlertsRequest};
use tonic::Request;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{DatabaseKind, TestApp, TestDatabase, keyed, keys};

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

#[tokio::test]
async fn a_health_watch_ends_at_the_deadline_of_its_caller() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut health = HealthClient::new(app.channel());
    let mut request = Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let began = std::time::Instant::now();
    let ended = watch.message().await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::DeadlineExceeded, "{ended:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    };
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let app = TestApp::start_with(database, |config| config.reflection = Reflection::Keyed).await;
    let (key, secret) = keys::make_key(&keys::beside(&app).await, "default", &["*"], None).await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asking = tokio_stream::StreamExt::chain(tokio_stream::iter([ask]), tokio_stream::pending());
    let mut request = Request::new(asking);
    request.metadata_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
    let mut client = ServerReflectionClient::new(app.channel());
    let mut answers = client.server_reflection_info(request).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    keys::beside(&app).await.revoke_key(&key).await.unwrap();
    let revoked = std::time::Instant::now();
    let ended = answers.message().await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unauthenticated, "{ended:?}");
    assert!(revoked.elapsed() < std::time::Duration::from_secs(5), "{:?}", revoked.elapsed());
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
