//! Refusals of calls.

use std::time::Duration;

use redflag::{
    app::Config,
    error::Reason,
    grpc::pb::{
        Alert, CreateAlertStatusRequest, DeleteAlertStatusRequest, ErrorReason, FlagEntityRequest,
        GetAlertRequest, ListAlertsRequest,
    },
    store::queue::GroupCommit,
};
use rstest::rstest;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{code_and_reason, create_status, fields, flag, flagged, framed, reason, update};
use crate::support::{DatabaseKind, TestApp, TestDatabase, keyed, outage};

#[test]
fn the_proto_names_every_reason() {
    let named: Vec<_> = (1..)
        .map_while(|number| ErrorReason::try_from(number).ok())
        .map(|reason| reason.as_str_name().trim_start_matches("ERROR_REASON_"))
        .collect();
    assert_eq!(named, Reason::ALL.map(Reason::as_str));
}

#[tokio::test]
async fn every_offending_field_is_listed() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let request = FlagEntityRequest {
        entity_id: "acc_1".to_owned(),
        title: "t".repeat(201),
        description: String::new(),
        severity: 99,
        assigned_to: Some("\0".to_owned()),
        ..Default::default()
    };
    let refused = app.alerts().flag_entity(keyed(request)).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_VALIDATION_ERROR".to_owned()));
    assert_eq!(fields(&refused), ["entity_id", "title", "description", "severity", "assigned_to"]);
    assert!(refused.message().contains("title must be at most 200 characters, is 201"), "{refused}");
}

#[tokio::test]
async fn an_entity_id_alone_has_a_reason_of_its_own() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let refused = app.alerts().flag_entity(keyed(flag("acc_1"))).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "ALERT_INVALID_ENTITY_ID".to_owned()));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_unknown_status_is_refused_with_the_valid_ones(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    create_status(&app, "Odd").await;
    let made = flagged(&app, flag("bln_1")).await;
    let flagging = FlagEntityRequest { status: "nowhere".to_owned(), ..flag("bln_1") };
    let moving = Alert { anomaly_id: made.anomaly_id, status: "nowhere".to_owned(), ..Default::default() };
    let listing =
        ListAlertsRequest { statuses: vec!["FLAGGED".into(), "nowhere".into()], ..Default::default() };
    for (field, refused) in [
        ("status", app.alerts().flag_entity(keyed(flagging)).await.unwrap_err()),
        ("status", update(&app, moving, &["status"]).await.unwrap_err()),
        ("statuses", app.alerts().list_alerts(keyed(listing)).await.unwrap_err()),
    ] {
        assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "ALERT_UNKNOWN_STATUS".to_owned()));
        assert_eq!(fields(&refused), [field]);
        let details = refused.get_error_details();
        let valid = &details.error_info().unwrap().metadata["valid_statuses"];
        assert_eq!(valid, "FLAGGED,INVESTIGATING,RESOLVED,ODD");
    }
}

#[tokio::test]
async fn unknown_resources_are_not_found() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for anomaly_id in ["", "ano_1", "ano_00000000-0000-7000-8000-000000000000", "\u{0}"] {
        let request = GetAlertRequest { anomaly_id: anomaly_id.to_owned() };
        let refused = app.alerts().get_alert(keyed(request)).await.unwrap_err();
        assert_eq!(code_and_reason(&refused), (Code::NotFound, "ALERT_NOT_FOUND".to_owned()));
        let alert = Alert { anomaly_id: anomaly_id.to_owned(), title: "t".to_owned(), ..Default::default() };
        assert_eq!(reason(&update(&app, alert, &[]).await.unwrap_err()), "ALERT_NOT_FOUND");
    }
    let request = DeleteAlertStatusRequest { key: "nowhere".to_owned(), ..Default::default() };
    let refused = app.statuses().delete_alert_status(keyed(request)).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::NotFound, "STATUS_NOT_FOUND".to_owned()));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn changes_of_used_and_builtin_statuses_are_refused(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let status = create_status(&app, "Odd").await;
    let delete = async |key: &str| {
        let request = DeleteAlertStatusRequest { key: key.to_owned(), ..Default::default() };
        app.statuses().delete_alert_status(keyed(request)).await.unwrap_err()
    };
    let create = async |name: &str| {
        let request = CreateAlertStatusRequest {
            name: name.to_owned(),
            colour: "#3B82F6".to_owned(),
            ..Default::default()
        };
        app.statuses().create_alert_status(keyed(request)).await.unwrap_err()
    };
    flagged(&app, FlagEntityRequest { status: status.key, ..flag("bln_1") }).await;
    let in_use = delete("odd").await;
    assert_eq!(code_and_reason(&in_use), (Code::FailedPrecondition, "STATUS_IN_USE".to_owned()));
    assert_eq!(
        in_use.message(),
        "cannot delete status: 1 alert(s) use this status - reassign them to another status first"
    );
    let builtin = delete("flagged").await;
    assert_eq!(code_and_reason(&builtin), (Code::FailedPrecondition, "STATUS_BUILTIN".to_owned()));
    for taken in ["ODD", "Resolved"] {
        let duplicate = create(taken).await;
        assert_eq!(code_and_reason(&duplicate), (Code::AlreadyExists, "STATUS_DUPLICATE_KEY".to_owned()));
    }
}

#[tokio::test]
async fn page_tokens_are_bound_to_their_list() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for _ in 0..2 {
        flagged(&app, flag("bln_1")).await;
    }
    let list = ListAlertsRequest { page_size: 1, ..Default::default() };
    let page = app.alerts().list_alerts(keyed(list.clone())).await.unwrap().into_inner();
    let token = page.next_page_token;
    let same = ListAlertsRequest { page_token: token.clone(), page_size: 7, ..list.clone() };
    app.alerts().list_alerts(keyed(same)).await.unwrap();
    for refused in [
        ListAlertsRequest { page_token: token.clone(), entity_ids: vec!["bln_1".to_owned()], ..list.clone() },
        ListAlertsRequest { page_token: token.clone(), order: 2, ..list.clone() },
        ListAlertsRequest { page_token: token[1..].to_owned(), ..list.clone() },
    ] {
        let refused = app.alerts().list_alerts(keyed(refused)).await.unwrap_err();
        assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_INVALID_PAGE_TOKEN".to_owned()));
        assert_eq!(fields(&refused), ["page_token"]);
    }
}

/// Flags an entity past the client library, which would give up by itself when `timeout` is over.
async fn flag_within(app: &TestApp, timeout: &str) -> Status {
    let request = app.rest(reqwest::Method::POST, "/redflag.v1.AlertService/FlagEntity");
    let request =
        request.header("content-type", "application/grpc-web+proto").header("grpc-timeout", timeout);
    let response = request.body(framed(&flag("bln_1"))).send().await.unwrap();
    Status::from_header_map(response.headers()).expect("the call failed")
}

async fn count(app: &TestApp) -> usize {
    app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap().into_inner().alerts.len()
}

#[tokio::test]
async fn a_change_beyond_the_queue_asks_for_a_retry() {
    let crowded = |config: &mut Config| config.commits = GroupCommit { size: 1, waiting: 1, in_flight: 1 };
    let app = TestApp::start_with(TestDatabase::create(DatabaseKind::Sqlite).await, crowded).await;
    let held = outage::hold_writes(app.database().url()).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = app.alerts();
        calls.spawn(async move { client.flag_entity(keyed(flag("bln_1"))).await });
    }
    let refused = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::ResourceExhausted, "GEN_RATE_LIMITED".to_owned()));
    let retry = refused.get_details_retry_info().expect("it says when to try again");
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
    held.release().await;
    calls.join_all().await;
}

#[tokio::test]
async fn a_deadline_stops_the_work() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let held = outage::hold_writes(app.database().url()).await;
    let refused = flag_within(&app, "100m").await;
    assert_eq!(code_and_reason(&refused), (Code::DeadlineExceeded, "GEN_DEADLINE_EXCEEDED".to_owned()));
    held.release().await;
    // Leftover work of the stopped call would be done before this flag, and leave its alert.
    flagged(&app, flag("bln_1")).await;
    assert_eq!(count(&app).await, 1);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn the_servers_limit_bounds_missing_and_longer_deadlines(#[case] kind: DatabaseKind) {
    let database = TestDatabase::create(kind).await;
    let app =
        TestApp::start_with(database, |config| config.request_timeout = Duration::from_millis(100)).await;
    let held = outage::hold_writes(app.database().url()).await;
    let refused = app.alerts().flag_entity(keyed(flag("bln_1"))).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::DeadlineExceeded, "GEN_DEADLINE_EXCEEDED".to_owned()));
    let refused = flag_within(&app, "1H").await;
    assert_eq!(code_and_reason(&refused), (Code::DeadlineExceeded, "GEN_DEADLINE_EXCEEDED".to_owned()));
    held.release().await;
    // An organization that waited for a lock in vain rests for a moment, perhaps longer than this limit.
    let is_served = async || app.alerts().flag_entity(keyed(flag("bln_1"))).await.is_ok();
    while !is_served().await {}
}

#[tokio::test]
async fn a_malformed_deadline_is_the_callers_mistake() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let refused = flag_within(&app, "soon").await;
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_MALFORMED_REQUEST".to_owned()));
}

#[tokio::test]
async fn a_request_over_a_mebibyte_is_refused_with_both_sizes() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let request = FlagEntityRequest { description: "x".repeat(1024 * 1024), ..flag("bln_1") };
    let refused = app.alerts().flag_entity(keyed(request)).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_PAYLOAD_TOO_LARGE".to_owned()));
    assert!(refused.message().contains("1048576"), "{refused}");
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for path in ["/redflag.v1.AlertService/Nothing", "/redflag.v1.Nothing/Nothing"] {
        let mut client = tonic::client::Grpc::new(app.channel());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<FlagEntityRequest, Alert>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let refused = client.unary(keyed(flag("bln_1")), path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_compressed_call_is_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut request = keyed(flag("bln_1"));
    request.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let refused = app.alerts().flag_entity(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("gzip"), "{refused}");
}

#[tokio::test]
async fn answers_and_errors_carry_the_trace_id() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let traced = |mut request: Request<FlagEntityRequest>, id: &str| {
        request.metadata_mut().insert("x-request-id", id.parse().unwrap());
        request
    };
    let answered = app.alerts().flag_entity(traced(keyed(flag("bln_1")), "trace-1")).await.unwrap();
    assert_eq!(answered.metadata().get("x-request-id").unwrap(), "trace-1");
    let refused = app.alerts().flag_entity(traced(keyed(flag("x")), "trace-2")).await.unwrap_err();
    assert_eq!(refused.metadata().get("x-request-id").unwrap(), "trace-2");
    let made = app.alerts().flag_entity(keyed(flag("bln_1"))).await.unwrap();
    assert_eq!(made.metadata().get("x-request-id").unwrap().len(), 36);
}
