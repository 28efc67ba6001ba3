//! Answers of an unavailable or overloaded service, and the trace id of every answer.

use std::time::Duration;

use redflag::{app::Config, store::queue::GroupCommit};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::{Answer, assert_discreet, post};
use crate::support::{DatabaseKind, TestApp, TestDatabase, outage};

#[tokio::test]
async fn a_call_without_the_database_asks_for_a_retry() {
    let app = TestApp::start(DatabaseKind::Postgres).await;
    outage::take_away(app.database().url()).await;
    for (method, path, body) in [
        (Method::GET, "/alerts", Value::Null),
        (Method::POST, "/alerts/flag/bln_1", json!({ "description": "d" })),
        (Method::POST, "/alerts/statuses", json!({ "name": "Odd", "colour": "#3B82F6" })),
        (Method::GET, "/readyz", Value::Null),
    ] {
        let request = app.rest(method, path).json(&body).header("x-request-id", "trace-me");
        let refused = Answer::to(request).await;
        assert_eq!(refused.refusal(), (503, "GEN_UNAVAILABLE"), "{path}");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.body["error_detail"]["details"]["request_id"], "trace-me");
    }
    assert_eq!(Answer::to(app.rest(Method::GET, "/healthz")).await.status, 200);
    outage::give_back(app.database().url()).await;
    assert_eq!(post(&app, "/alerts/flag/bln_1", json!({ "description": "d" })).await.status, 201);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_call_that_takes_too_long_is_stopped(#[case] kind: DatabaseKind) {
    let database = TestDatabase::create(kind).await;
    let limit = |config: &mut Config| config.request_timeout = Duration::from_millis(100);
    let app = TestApp::start_with(database, limit).await;
    let held = outage::hold_writes(app.database().url()).await;
    let body = json!({ "description": "d" });
    let refused = post(&app, "/alerts/flag/bln_1", body).await;
    assert_eq!(refused.refusal(), (504, "GEN_DEADLINE_EXCEEDED"));
    assert_eq!(refused.text(), "the call took longer than its deadline of 100ms");
    held.release().await;
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_change_beyond_the_queue_asks_for_a_retry(#[case] kind: DatabaseKind) {
    let crowded = |config: &mut Config| config.commits = GroupCommit { size: 1, waiting: 1, in_flight: 1 };
    let app = TestApp::start_with(TestDatabase::create(kind).await, crowded).await;
    let held = outage::hold_writes(app.database().url()).await;
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let request = app.rest(Method::POST, "/alerts/flag/bln_1").json(&json!({ "description": "d" }));
        calls.spawn(Answer::to(request));
    }
    // The queue is full, because nothing can be written.
    let refused = calls.join_next().await.unwrap().unwrap();
    assert_eq!(refused.refusal(), (429, "GEN_RATE_LIMITED"));
    assert_eq!(refused.text(), "too many calls are waiting, try again");
    assert_eq!(refused.header("retry-after"), "1");
    held.release().await;
    let statuses: Vec<_> = calls.join_all().await.iter().map(|answer| answer.status).collect();
    assert!(
        statuses.iter().all(|status| [201, 429].contains(status)) && statuses.contains(&201),
        "{statuses:?}"
    );
    let listed = Answer::to(app.rest(Method::GET, "/alerts")).await;
    let done = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(listed.body["data"].as_array().unwrap().len(), done);
}

#[tokio::test]
async fn every_answer_carries_the_trace_id() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (path, status) in [
        ("/alerts", 200),
        ("/alerts/ano_1", 404),
        ("/alerts?other=1", 400),
        ("/nowhere", 404),
        ("/alerts/flag/bln_1", 405),
        ("/healthz", 200),
        ("/docs/", 200),
    ] {
        for id in ["trace-1", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", &"x".repeat(128)] {
            let answer = app.rest(Method::GET, path).header("x-request-id", id).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["x-request-id"]),
                (status, &id.parse().unwrap())
            );
        }
        let made = app.rest(Method::GET, path).send().await.unwrap();
        assert_eq!(made.headers()["x-request-id"].len(), 36);
    }
    let unauthenticated = app.rest_without_key(Method::GET, "/alerts").header("x-request-id", "trace-2");
    assert_eq!(Answer::to(unauthenticated).await.header("x-request-id"), "trace-2");
}

#[tokio::test]
async fn an_invalid_trace_id_is_replaced() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let junk: [&[u8]; 5] = [b"", b"two words", "grün".as_bytes(), b"\xff\xfe", &[b'x'; 129]];
    for id in junk {
        let request = app.rest(Method::GET, "/alerts").header("x-request-id", id);
        let answer = Answer::to(request).await;
        let made = answer.header("x-request-id");
        assert!(made.len() == 36 && made.as_bytes() != id, "{made}");
    }
}

#[tokio::test]
async fn a_refusal_repeats_only_the_value_at_fault() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let request = app.rest(Method::POST, "/alerts/flag/bln_1").header("cookie", "session=kept");
    let body = json!({ "description": "d", "title": format!("{}'; SELECT \u{0}", "t".repeat(300)) });
    let refused = Answer::to(request.json(&body)).await;
    assert_eq!(refused.status, 400);
    assert!(!refused.body.to_string().contains("ttt") && !format!("{:?}", refused.headers).contains("kept"));
    assert_discreet(&refused.body.to_string());
}

#[tokio::test]
async fn a_locked_database_file_is_not_ready() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let ready = async || app.rest_without_key(Method::GET, "/readyz").send().await.unwrap().status().as_u16();
    let flag = async || post(&app, "/alerts/flag/bln_1", json!({ "description": "d" })).await.status;
    let held = outage::hold_writes(app.database().url()).await;
    assert_eq!(flag().await, 503);
    // A check is reused for a second.
    let not_ready = async || while ready().await != 503 {};
    timeout(Duration::from_secs(20), not_ready()).await.unwrap();
    held.release().await;
    let is_ready = async || while ready().await != 200 {};
    timeout(Duration::from_secs(20), is_ready()).await.unwrap();
    assert_eq!(flag().await, 201);
}
