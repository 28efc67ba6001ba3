//! Conditional changes: `ETag` and `If-Match`.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, change_path, events, flag, get, path, post, put};
use crate::support::{DatabaseKind, TestApp};

/// Sends a change with `If-Match`.
async fn send_if(app: &TestApp, method: Method, path: &str, if_match: &str, body: Value) -> Answer {
    Answer::to(app.rest(method, path).header("if-match", if_match).json(&body)).await
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_answer_with_an_alert_is_tagged_with_its_version(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let body = json!({ "description": "d", "dedup_key": "k" });
    let flagged = post(&app, "/alerts/flag/bln_1", body.clone()).await;
    assert_eq!(flagged.header("etag"), "\"1\"");
    let folded = post(&app, "/alerts/flag/bln_1", body).await;
    assert_eq!((folded.status, folded.header("etag")), (200, "\"2\""));
    let changed = put(&app, &change_path(&flagged.body), json!({ "title": "New" })).await;
    assert_eq!(changed.header("etag"), "\"3\"");
    let same = put(&app, &change_path(&flagged.body), json!({ "title": "New" })).await;
    assert_eq!(same.header("etag"), "\"3\"");
    let escalated = post(&app, &format!("{}/escalate", path(&flagged.body)), json!({ "to": ["bo"] })).await;
    assert_eq!(escalated.header("etag"), "\"4\"");
    assert_eq!(get(&app, &path(&flagged.body)).await.header("etag"), "\"4\"");
    assert!(!get(&app, "/alerts").await.headers.contains_key("etag"));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_stale_change_is_refused_with_the_current_version(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let alert = flag(&app, "bln_1", json!({})).await;
    let (change, escalate) = (change_path(&alert), format!("{}/escalate", path(&alert)));
    let first = send_if(&app, Method::PUT, &change, "\"1\"", json!({ "title": "First" })).await;
    assert_eq!((first.status, &first.body["version"]), (200, &json!(2)));
    for (method, path, body) in [
        (Method::PUT, &change, json!({ "title": "Second" })),
        (Method::PUT, &change, json!({ "title": "First" })),
        (Method::PUT, &change, json!({ "note": "Nothing but a note." })),
        (Method::PUT, &change, json!({})),
        (Method::POST, &escalate, json!({ "to": ["bo"] })),
    ] {
        let refused = send_if(&app, method, path, "\"1\"", body).await;
        assert_eq!(refused.refusal(), (412, "ALERT_VERSION_CONFLICT"));
        assert_eq!(refused.text(), "somebody else changed the alert first: it is at version 2 now");
        assert_eq!(refused.body["error_detail"]["details"], json!({ "current_version": 2 }));
    }
    assert_eq!(get(&app, &path(&alert)).await.body, first.body);
    assert_eq!(events(&app, "/events").await.len(), 2);
    let third = send_if(&app, Method::POST, &escalate, "\"2\"", json!({ "to": ["bo"] })).await;
    assert_eq!((third.status, third.header("etag")), (200, "\"3\""));
}

#[tokio::test]
async fn if_match_takes_a_list_a_wildcard_and_foreign_tags() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let change = change_path(&flag(&app, "bln_1", json!({})).await);
    for matching in ["\"1\"", " \"1\" ", "*", "\"7\", \"1\"", "\"abc\",\"1\"", "W/\"9\", *"] {
        let answer = send_if(&app, Method::PUT, &change, matching, json!({})).await;
        assert_eq!(answer.status, 200, "{matching}");
    }
    let other =
        ["\"2\"", "\"7\", \"8\"", "W/\"1\"", "1", "\"+1\"", "\"01\"", "\"1", "\"-1\"", "\"*\"", "junk", ","];
    for other in other {
        let answer = send_if(&app, Method::PUT, &change, other, json!({})).await;
        assert_eq!(answer.refusal(), (412, "ALERT_VERSION_CONFLICT"), "{other}");
    }
    let request = app.rest(Method::PUT, &change).header("if-match", "\"7\"").header("if-match", "\"1\"");
    assert_eq!(Answer::to(request.json(&json!({}))).await.status, 200);
    let unreadable = app.rest(Method::PUT, &change).header("if-match", b"\"1\"\xff".as_slice());
    assert_eq!(Answer::to(unreadable.json(&json!({}))).await.status, 412);
}

#[tokio::test]
async fn violations_come_before_version_conflicts() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let change = change_path(&flag(&app, "bln_1", json!({})).await);
    let refused = send_if(&app, Method::PUT, &change, "\"9\"", json!({ "description": "" })).await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec!["description"]));
    let missing = send_if(&app, Method::PUT, "/alerts/flag/ano_1", "*", json!({})).await;
    assert_eq!(missing.refusal(), (404, "ALERT_NOT_FOUND"));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn one_of_many_concurrent_changes_of_a_version_succeeds(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let alert = flag(&app, "bln_1", json!({})).await;
    let sent: Vec<_> = (0..20)
        .map(|number| {
            let request = app.rest(Method::PUT, &change_path(&alert)).header("if-match", "\"1\"");
            tokio::spawn(Answer::to(request.json(&json!({ "title": format!("Number {number}") }))))
        })
        .collect();
    let mut codes = Vec::new();
    for answer in sent {
        codes.push(answer.await.unwrap().status);
    }
    codes.sort_unstable();
    assert_eq!((codes[0], &codes[1..]), (200, [412; 19].as_slice()));
    assert_eq!(events(&app, &format!("{}/events", path(&alert))).await.len(), 2);
}
