//! Idempotent changes: `request_id`.

use redflag::grpc::pb::{
    Alert, AlertStatus, CreateAlertStatusRequest, DeleteAlertStatusRequest, EscalateAlertRequest,
    FlagEntityRequest, ListEventsRequest, UpdateAlertRequest, UpdateAlertStatusRequest,
};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tonic::{Code, Request, Response, Status};

use super::{code_and_reason, fields, flag};
use crate::support::{DatabaseKind, TestApp, keyed};

fn is_replayed<T>(answer: &Response<T>) -> bool {
    answer.metadata().get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// Sends a change twice, and checks that the second answer is the first, marked as replayed.
async fn send_twice<M: Clone, T: PartialEq + std::fmt::Debug>(
    message: M,
    send: impl AsyncFn(Request<M>) -> Result<Response<T>, Status>,
) -> T {
    let first = send(keyed(message.clone())).await.unwrap();
    assert!(first.metadata().get("idempotency-replayed").is_none(), "{first:?}");
    let again = send(keyed(message)).await.unwrap();
    assert!(is_replayed(&again), "{again:?}");
    let first = first.into_inner();
    assert_eq!(again.into_inner(), first);
    first
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_repeat_is_marked_in_its_metadata(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let request_id = |name: &str| name.to_owned();
    let flagging = FlagEntityRequest { request_id: request_id("flag"), ..flag("bln_1") };
    let made = send_twice(flagging, async |ask| app.alerts().flag_entity(ask).await).await.alert.unwrap();
    let alert = Some(Alert { title: "New".to_owned(), ..made.clone() });
    let change = UpdateAlertRequest { alert, request_id: request_id("update"), ..Default::default() };
    send_twice(change, async |ask| app.alerts().update_alert(ask).await).await;
    let escalation = EscalateAlertRequest {
        anomaly_id: made.anomaly_id,
        to: vec!["bo".to_owned()],
        request_id: request_id("escalate"),
        ..Default::default()
    };
    send_twice(escalation, async |ask| app.alerts().escalate_alert(ask).await).await;
    let (name, colour) = ("Odd".to_owned(), "#3B82F6".to_owned());
    let new = CreateAlertStatusRequest { name, colour, request_id: request_id("make"), ..Default::default() };
    send_twice(new, async |ask| app.statuses().create_alert_status(ask).await).await;
    let status = AlertStatus { key: "odd".to_owned(), name: "Even".to_owned(), ..Default::default() };
    let (alert_status, request_id) = (Some(status), "rename".to_owned());
    let change = UpdateAlertStatusRequest { alert_status, update_mask: None, request_id };
    send_twice(change, async |ask| app.statuses().update_alert_status(ask).await).await;
    let delete = DeleteAlertStatusRequest { key: "odd".to_owned(), request_id: "delete".to_owned() };
    send_twice(delete, async |ask| app.statuses().delete_alert_status(ask).await).await;
    let feed = app.audit().list_events(keyed(ListEventsRequest::default())).await.unwrap().into_inner();
    let keys: Vec<_> = feed.events.iter().map(|event| event.idempotency_key.as_deref().unwrap()).collect();
    assert_eq!(keys, ["flag", "update", "escalate"]);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_key_is_shared_by_both_faces(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let rest = async |key: &str, description: &str| {
        let request = app.rest(Method::POST, "/alerts/flag/bln_1").header("idempotency-key", key);
        request.json(&json!({ "description": description })).send().await.unwrap()
    };
    let first: Value = rest("one", "Something is off.").await.json().await.unwrap();
    let same = FlagEntityRequest { request_id: "one".to_owned(), ..flag("bln_1") };
    let again = app.alerts().flag_entity(keyed(same)).await.unwrap();
    assert!(is_replayed(&again));
    assert_eq!(again.into_inner().alert.unwrap().anomaly_id, first["anomaly_id"]);
    let other = FlagEntityRequest { request_id: "two".to_owned(), ..flag("bln_1") };
    app.alerts().flag_entity(keyed(other)).await.unwrap();
    assert_eq!(rest("two", "Something else is off.").await.status(), 409);
    let again = rest("two", "Something is off.").await;
    assert_eq!(
        (again.status().as_u16(), &again.headers()["idempotency-replayed"]),
        (201, &"true".parse().unwrap())
    );
}

#[tokio::test]
async fn another_change_under_the_same_key_is_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let with_key = |entity: &str| FlagEntityRequest { request_id: "one".to_owned(), ..flag(entity) };
    app.alerts().flag_entity(keyed(with_key("bln_1"))).await.unwrap();
    let refused = app.alerts().flag_entity(keyed(with_key("bln_2"))).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED".to_owned()));
    assert!(refused.metadata().get("idempotency-replayed").is_none());
    let delete = DeleteAlertStatusRequest { key: "odd".to_owned(), request_id: "one".to_owned() };
    let refused = app.statuses().delete_alert_status(keyed(delete)).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED".to_owned()));
}

#[tokio::test]
async fn an_invalid_key_is_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (request_id, message) in [
        ("k".repeat(201), "request_id must be at most 200 characters, is 201"),
        (
            "two words".to_owned(),
            "request_id must hold only visible ASCII characters, has ' ' as character 4",
        ),
        ("\u{0}".to_owned(), "request_id must hold only visible ASCII characters"),
    ] {
        let request = FlagEntityRequest { request_id, description: String::new(), ..flag("bln_1") };
        let refused = app.alerts().flag_entity(keyed(request)).await.unwrap_err();
        assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_VALIDATION_ERROR".to_owned()));
        assert_eq!(fields(&refused), ["request_id", "description"]);
        assert!(refused.message().starts_with(message), "{refused}");
    }
}
