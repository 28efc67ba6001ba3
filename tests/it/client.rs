//! The client for Rust, through real connections.

use std::{
    future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use redflag::client::{Client, Code, FieldMask, Options, ServingStatus, json, pb};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::{DatabaseKind, TestApp, app::KEY, outage};

fn options(address: SocketAddr) -> Options {
    let server = format!("http://{address}");
    Options { server, api_key: Some(KEY.into()), actor: Some("Ána".to_owned()), ..Options::default() }
}

fn client(app: &TestApp) -> Client {
    Client::new(&options(app.address())).unwrap()
}

fn flag() -> pb::FlagEntityRequest {
    pb::FlagEntityRequest { entity_id: "bln_1".to_owned(), description: "d".to_owned(), ..Default::default() }
}

fn mask(path: &str) -> FieldMask {
    FieldMask { paths: vec![path.to_owned()] }
}

async fn count(app: &TestApp) -> Value {
    let answer = app.rest(Method::GET, "/alerts?include_total=true").send().await.unwrap();
    answer.json::<Value>().await.unwrap()["total"].clone()
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_call_on_alerts_works(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let client = client(&app);
    let alert = client.flag_entity(flag()).await.unwrap().alert.unwrap();
    let id = alert.anomaly_id.clone();
    let change = pb::Alert { anomaly_id: id.clone(), status: "RESOLVED".to_owned(), ..Default::default() };
    let request = pb::UpdateAlertRequest {
        alert: Some(change),
        update_mask: Some(mask("status")),
        ..Default::default()
    };
    assert_eq!(client.update_alert(request).await.unwrap().alert.unwrap().version, 2);
    let request =
        pb::EscalateAlertRequest { anomaly_id: id.clone(), to: vec!["bob".to_owned()], ..Default::default() };
    let escalated = client.escalate_alert(request).await.unwrap().alert.unwrap();
    let read = client.get_alert(pb::GetAlertRequest { anomaly_id: id.clone() }).await.unwrap().alert.unwrap();
    assert_eq!(read, escalated);
    let list = client.list_alerts(pb::ListAlertsRequest::default()).await.unwrap();
    assert_eq!(list.alerts, [read]);

    let request = pb::ListAlertEventsRequest { anomaly_id: id, ..Default::default() };
    let history = client.list_alert_events(request).await.unwrap().events;
    let feed = client.list_events(pb::ListEventsRequest::default()).await.unwrap().events;
    assert_eq!((history.len(), &history), (3, &feed));
    assert!(history.iter().all(|event| event.idempotency_key.is_some()));
    assert_eq!(history[0].actor.as_ref().unwrap().on_behalf_of.as_deref(), Some("Ána"));
    let head = client.get_audit_head(pb::GetAuditHeadRequest {}).await.unwrap();
    assert_eq!((head.position, &head.hash), (3, &feed[2].hash));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_call_on_statuses_works(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let client = client(&app);
    let (name, colour) = ("Pending Review".to_owned(), "#3B82F6".to_owned());
    let request = pb::CreateAlertStatusRequest { name, colour, ..Default::default() };
    let made = client.create_alert_status(request).await.unwrap().alert_status.unwrap();
    let change = pb::AlertStatus { key: made.key.clone(), name: "Pending".to_owned(), ..Default::default() };
    let request = pb::UpdateAlertStatusRequest {
        alert_status: Some(change),
        update_mask: Some(mask("name")),
        ..Default::default()
    };
    let changed = client.update_alert_status(request).await.unwrap().alert_status.unwrap();
    let list = client.list_alert_statuses(pb::ListAlertStatusesRequest::default()).await.unwrap();
    assert_eq!(list.alert_statuses, [changed]);
    let request = pb::DeleteAlertStatusRequest { key: made.key, ..Default::default() };
    client.delete_alert_status(request.clone()).await.unwrap();
    // Two changes, not a repeat: each gets a request id of its own.
    let error = client.delete_alert_status(request).await.unwrap_err();
    assert_eq!(error.reason(), Some("STATUS_NOT_FOUND"));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn errors_hold_all_details_of_the_server(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let client = client(&app);
    let broken = pb::FlagEntityRequest { title: "x".repeat(201), description: String::new(), ..flag() };
    let error = client.flag_entity(broken).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("GEN_VALIDATION_ERROR")));
    let fields: Vec<_> = error.field_violations().iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["title", "description"]);
    let id = error.request_id().unwrap();
    assert!(error.to_string().contains(&format!("(GEN_VALIDATION_ERROR, request id {id})")), "{error}");

    let alert = client.flag_entity(flag()).await.unwrap().alert.unwrap();
    let request = pb::UpdateAlertRequest {
        alert: Some(pb::Alert { title: "t".to_owned(), ..alert }),
        update_mask: Some(mask("title")),
        expected_version: 7,
        ..Default::default()
    };
    let error = client.update_alert(request).await.unwrap_err();
    assert_eq!((error.code(), error.details()["current_version"].as_str()), (Code::Aborted, "1"));

    let wrong = Options { api_key: Some("rf_wrong".into()), ..options(app.address()) };
    let error = Client::new(&wrong).unwrap().get_audit_head(pb::GetAuditHeadRequest {}).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unauthenticated, Some("AUTH_INVALID_API_KEY")));
}

#[tokio::test]
async fn health_needs_no_key() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let client = Client::new(&Options { api_key: None, ..options(app.address()) }).unwrap();
    for service in ["", "redflag.v1.AlertService"] {
        assert_eq!(client.check_health(service).await.unwrap(), ServingStatus::Serving);
    }
    assert_eq!(client.check_health("other").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn clients_can_be_shared_by_tasks_and_print_no_key() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let client = client(&app);
    assert!(!format!("{client:?}").contains(KEY));
    let calls = (0..8).map(|_| {
        tokio::spawn({
            let client = client.clone();
            async move { client.flag_entity(flag()).await }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(count(&app).await, 8);
}

/// A way to a server that passes the first connection's requests on, but none of the answers, until it is cut. Passes all
/// of the others.
struct Lossy {
    address: SocketAddr,
    cut: oneshot::Sender<()>,
}

async fn lossy(to: SocketAddr) -> Lossy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, is_cut) = oneshot::channel();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(to).await.unwrap();
        // The unused halves keep both connections open.
        let ((mut requests, answers_to), (answers, mut onwards)) = (near.into_split(), far.into_split());
        tokio::select! {
            _ = tokio::io::copy(&mut requests, &mut onwards) => {}
            _ = is_cut => {}
        }
        drop((requests, answers_to, answers, onwards));
        pass_all(listener, to).await;
    });
    Lossy { address, cut }
}

async fn pass_all(listener: TcpListener, to: SocketAddr) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut far = TcpStream::connect(to).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_change_with_a_lost_answer_happens_once(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let proxy = lossy(app.address()).await;
    let client = Client::new(&options(proxy.address)).unwrap();
    let call = tokio::spawn(async move { client.flag_entity(flag()).await });
    for _ in 0..400 {
        if count(&app).await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(count(&app).await, 1);
    proxy.cut.send(()).unwrap();
    let alert = call.await.unwrap().unwrap().alert.unwrap();
    // The second attempt got the answer to the first.
    assert_eq!((count(&app).await, alert.version), (Value::from(1), 1));
    let answer = app.rest(Method::GET, &format!("/alerts/{}", alert.anomaly_id)).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), serde_json::to_value(json::alert(&alert)).unwrap());
}

#[tokio::test]
async fn calls_wait_for_a_server_that_starts_late() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(&Options { attempts: 20, ..options(port) }).unwrap();
    let call = tokio::spawn(async move { client.flag_entity(flag()).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    let listener = TcpListener::bind(port).await.unwrap();
    tokio::spawn(pass_all(listener, app.address()));
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable_after_some_retries() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(&options(port)).unwrap();
    let error = client.flag_entity(flag()).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, None));
    assert!(error.to_string().starts_with("can't reach the server: Connection refused"), "{error}");
}

#[tokio::test]
async fn a_timeout_may_be_very_long() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let client = Client::new(&Options { timeout: Duration::MAX, ..options(app.address()) }).unwrap();
    assert!(client.flag_entity(flag()).await.is_ok());
}

#[tokio::test]
async fn a_silent_server_exceeds_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeout = Duration::from_millis(300);
    let client = Client::new(&Options { timeout, ..options(listener.local_addr().unwrap()) }).unwrap();
    let error = client.flag_entity(flag()).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(error.to_string(), "no answer came within 300ms");
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn the_server_gets_the_deadline(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let held = outage::hold_writes(app.database().url()).await;
    let timeout = Duration::from_millis(500);
    let client = Client::new(&Options { timeout, ..options(app.address()) }).unwrap();
    let error = client.flag_entity(flag()).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    held.release().await;
}

/// Starts a server that refuses every call as overloaded, and counts the refusals.
async fn crowded() -> (SocketAddr, Arc<AtomicUsize>) {
    let refusals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refusals);
    let send_away = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let later = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        let refused = Status::with_error_details(Code::ResourceExhausted, "no room", later);
        future::ready(refused.into_http::<Body>())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(send_away)).await });
    (address, refusals)
}

#[tokio::test]
async fn retries_wait_as_long_as_an_overloaded_server_advises() {
    let (address, refusals) = crowded().await;
    let client = Client::new(&Options { attempts: 2, ..options(address) }).unwrap();
    let started = Instant::now();
    let refused = client.flag_entity(flag()).await.unwrap_err();
    assert_eq!((refused.code(), refusals.load(Ordering::Relaxed)), (Code::ResourceExhausted, 2));
    assert!(started.elapsed() >= Duration::from_secs(1), "the server has asked for a second");
}

#[tokio::test]
async fn metadata_is_written_as_rest_writes_it() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let given =
        json!({ "whole": 5, "large": 9_007_199_254_740_991_i64, "part": 0.1, "list": [null, { "a": "é" }] });
    let metadata = Some(json::metadata(given.as_object().unwrap()));
    let alert = client(&app).flag_entity(pb::FlagEntityRequest { metadata, ..flag() }).await.unwrap();
    let written = serde_json::to_value(json::flagged(&alert)).unwrap();
    assert_eq!(written["metadata"], given);
}
