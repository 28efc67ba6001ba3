//! Keys that are tried, given twice and used, over both faces.

use redflag::grpc::pb::{ListAlertsRequest, alert_service_client::AlertServiceClient};
use reqwest::Method;
use rstest::rstest;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::support::{DatabaseKind, TestApp, app::KEY, keyed, keys, with_key};

/// A key that nobody has made.
fn unknown(index: usize) -> String {
    format!("rf_an-unknown-key-0123456789abcdefghijk-{index}")
}

#[rstest]
#[case::authorization("authorization", "Bearer ")]
#[case::blnk_key("x-blnk-key", "")]
#[case::actor("x-redflag-actor", "")]
#[tokio::test]
async fn a_header_about_the_caller_is_given_once(#[case] name: &'static str, #[case] before: &str) {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let value = format!("{before}{KEY}");
    // Also when both values are the same, and when the key stands in the other header.
    let rest = app.rest_without_key(Method::GET, "/alerts").header(name, &value).header(name, &value);
    let rest = if name == "x-redflag-actor" { rest.bearer_auth(KEY) } else { rest };
    let answer = rest.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], format!("{name} must be given once"));
    assert_eq!(body["error_detail"]["code"], "GEN_VALIDATION_ERROR");
    let mut request = keyed(ListAlertsRequest::default());
    request.metadata_mut().remove(name);
    for _ in 0..2 {
        request.metadata_mut().append(name, value.parse().unwrap());
    }
    let refused = app.alerts().list_alerts(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, format!("{name} must be given once").as_str())
    );
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn the_use_of_a_key_is_noted_before_the_end(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = keys::beside(&app).await;
    assert_eq!(service.keys(None).await.unwrap()[0].last_used_at, None);
    app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
    let _database = app.stop().await;
    assert!(service.keys(None).await.unwrap()[0].last_used_at.is_some());
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_new_key_works_soon_after_it_was_refused(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = keys::beside(&app).await;
    let (_, secret) = keys::make_key(&service, "default", &["*"], None).await;
    // As if it had been tried before it was made.
    let hide = |digest: &str| format!("UPDATE api_keys SET revoked_at = {digest} WHERE name = 'test'");
    let at = if kind == DatabaseKind::Sqlite { "0" } else { "'epoch'" };
    app.database().execute(&hide(at)).await;
    let status = async || {
        let sent = app.rest_without_key(Method::GET, "/alerts").bearer_auth(&secret).send().await;
        sent.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 401);
    app.database().execute(&hide("NULL")).await;
    for _ in 0..200 {
        if status().await == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the key never works");
}

/// Lists alerts with a key; the answer's code.
async fn code(channel: &Channel, key: &str) -> Code {
    let mut alerts = AlertServiceClient::new(channel.clone());
    let request = with_key(ListAlertsRequest { page_size: 1, ..ListAlertsRequest::default() }, key);
    alerts.list_alerts(request).await.map_or_else(|refused| refused.code(), |_| Code::Ok)
}

/// Several connections: each has a bound on its calls.
fn channels(app: &TestApp, count: usize) -> Vec<Channel> {
    (0..count).map(|_| Endpoint::from_shared(app.url("")).unwrap().connect_lazy()).collect()
}

#[tokio::test]
async fn unknown_keys_wait_in_bounds_and_never_before_known_ones() {
    let app = TestApp::start(DatabaseKind::Postgres).await;
    app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
    let mut held = PgConnection::connect(app.database().url()).await.unwrap();
    held.execute("BEGIN; LOCK TABLE api_keys").await.unwrap();
    let (channels, mut calls) = (channels(&app, 45), JoinSet::new());
    for index in 0..4_500 {
        let channel = channels[index % channels.len()].clone();
        calls.spawn(async move { code(&channel, &unknown(index)).await });
    }
    // Those beyond the room are answered while the others wait.
    for _ in 0..100 {
        assert_eq!(calls.join_next().await.unwrap().unwrap(), Code::ResourceExhausted);
    }
    let unheard = app.rest_without_key(Method::GET, "/alerts").bearer_auth(unknown(9_999));
    let refused = unheard.send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    held.execute("ROLLBACK").await.unwrap();
    while let Some(code) = calls.join_next().await {
        assert!(matches!(code.unwrap(), Code::Unauthenticated | Code::ResourceExhausted));
    }
    app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_fresh_server_takes_all_valid_keys_at_once_beside_made_up_ones(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = keys::beside(&app).await;
    let mut valid = Vec::new();
    for _ in 0..300 {
        valid.push(keys::make_key(&service, "default", &["*"], None).await.1);
    }
    let (channels, mut calls) = (channels(&app, 12), JoinSet::new());
    for index in 0..1_000 {
        let channel = channels[index % channels.len()].clone();
        calls.spawn(async move { (Code::Unauthenticated, code(&channel, &unknown(index)).await) });
    }
    for (index, key) in valid.into_iter().enumerate() {
        let channel = channels[index % channels.len()].clone();
        calls.spawn(async move { (Code::Ok, code(&channel, &key).await) });
    }
    while let Some(outcome) = calls.join_next().await {
        let (expected, code) = outcome.unwrap();
        assert_eq!(code, expected);
    }
}
