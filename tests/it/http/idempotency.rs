//! Idempotent changes: `Idempotency-Key`.

use std::time::Duration;

use redflag::app::Config;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, another_instance, change_path, delete, events, flag, get, path, post, put};
use crate::support::{
    DatabaseKind, TestApp, TestDatabase,
    app::KEY,
    keys::{beside, make_key},
    outage,
};

/// Makes a change with the idempotency key `key`.
fn with_key(app: &TestApp, method: Method, path: &str, key: &str, body: &Value) -> RequestBuilder {
    app.rest(method, path).header("idempotency-key", key).json(body)
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// Sends a change twice, and checks that the second answer is the first, marked as replayed.
async fn send_twice(app: &TestApp, method: Method, path: &str, key: &str, body: &Value) -> Answer {
    let first = Answer::to(with_key(app, method.clone(), path, key, body)).await;
    assert!(!first.headers.contains_key("idempotency-replayed"), "{first:?}");
    let again = Answer::to(with_key(app, method, path, key, body)).await;
    assert!(is_replayed(&again), "{again:?}");
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for header in ["etag", "location"] {
        assert_eq!(again.headers.get(header), first.headers.get(header), "{header}");
    }
    first
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_changes_nothing(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let (flag_path, body) = ("/alerts/flag/bln_1", json!({ "description": "d", "metadata": { "n": 1.5 } }));
    let flagged = send_twice(&app, Method::POST, flag_path, "flag", &body).await;
    assert_eq!(flagged.header("location"), path(&flagged.body));
    let change = change_path(&flagged.body);
    send_twice(&app, Method::PUT, &change, "change", &json!({ "title": "New", "severity": "low" })).await;
    let escalate = format!("{}/escalate", path(&flagged.body));
    send_twice(&app, Method::POST, &escalate, "escalate", &json!({ "to": ["bo"], "note": "Mine." })).await;
    send_twice(&app, Method::PUT, &change, "close", &json!({ "status": "RESOLVED" })).await;
    send_twice(&app, Method::PUT, &change, "note", &json!({ "note": "Only once." })).await;
    send_twice(&app, Method::PUT, &change, "nothing", &json!({})).await;
    let history = events(&app, "/events").await;
    let keys: Vec<_> = history.iter().map(|event| event["idempotency_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["flag", "change", "escalate", "close", "note"]);
    assert_eq!(get(&app, "/alerts").await.body["data"].as_array().unwrap().len(), 1);
    // The first answer, not the current state.
    let first = Answer::to(with_key(&app, Method::POST, flag_path, "flag", &body)).await;
    assert_eq!((first.status, &first.body), (201, &flagged.body));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_repeated_change_of_a_status_gets_the_first_answer(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let body = json!({ "name": "Odd", "colour": "#3B82F6" });
    assert_eq!(send_twice(&app, Method::POST, "/alerts/statuses", "make", &body).await.status, 201);
    let renamed = json!({ "name": "Even", "colour": "#3B82F6" });
    let changed = send_twice(&app, Method::PUT, "/alerts/statuses/odd", "rename", &renamed).await;
    assert_eq!((changed.status, &changed.body["name"]), (200, &json!("Even")));
    for (method, path, key, other) in [
        (Method::POST, "/alerts/statuses", "make", &renamed),
        (Method::PUT, "/alerts/statuses/odd", "rename", &body),
        (Method::DELETE, "/alerts/statuses/odd", "make", &json!({})),
    ] {
        let reused = Answer::to(with_key(&app, method, path, key, other)).await;
        assert_eq!(reused.refusal(), (409, "IDEMPOTENCY_KEY_REUSED"));
    }
    let deleted = send_twice(&app, Method::DELETE, "/alerts/statuses/odd", "delete", &json!({})).await;
    assert_eq!((deleted.status, deleted.body), (200, json!({ "message": "Status deleted" })));
    assert_eq!(delete(&app, "/alerts/statuses/odd").await.refusal(), (404, "STATUS_NOT_FOUND"));
    // The status is deleted, and its creation still has its first answer.
    let made = Answer::to(with_key(&app, Method::POST, "/alerts/statuses", "make", &body)).await;
    assert_eq!((made.status, is_replayed(&made)), (201, true));
    assert_eq!(get(&app, "/alerts/statuses").await.body["data"], json!([]));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn another_change_under_the_same_key_is_refused(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let body = json!({ "description": "d", "escalated_to": ["ana"] });
    let made = Answer::to(with_key(&app, Method::POST, "/alerts/flag/bln_1", "k", &body)).await;
    for (method, path, body) in [
        (Method::POST, "/alerts/flag/bln_2", body.clone()),
        (Method::POST, "/alerts/flag/bln_1", json!({ "description": "e", "escalated_to": ["ana"] })),
        (Method::POST, "/alerts/flag/bln_1", json!({ "description": "d" })),
        (
            Method::POST,
            "/alerts/flag/bln_1",
            json!({ "description": "d", "escalated_to": ["ana"], "note": "n" }),
        ),
        (Method::PUT, &change_path(&made.body), body.clone()),
        (Method::POST, &format!("{}/escalate", super::path(&made.body)), json!({ "to": ["ana"] })),
        (Method::POST, "/alerts/statuses", json!({ "name": "n", "colour": "#3B82F6" })),
    ] {
        let reused = Answer::to(with_key(&app, method, path, "k", &body)).await;
        assert_eq!(reused.refusal(), (409, "IDEMPOTENCY_KEY_REUSED"), "{path}");
        assert!(!is_replayed(&reused));
    }
    assert_eq!(events(&app, "/events").await.len(), 1);
    // The same change in other words: the key's owner, in another case, and with what is ignored.
    let same = json!({ "unknown": 1, "title": "", "status": "flagged", "assigned_to": "admin", "description": "d",
        "escalated_to": ["ana", "ana"], "metadata": {}, "severity": null });
    let again = Answer::to(with_key(&app, Method::POST, "/cloud/alerts/flag/bln_1", "k", &same)).await;
    assert_eq!((again.status, &again.body, is_replayed(&again)), (201, &made.body, true));
    assert_eq!(again.header("location"), format!("/cloud{}", super::path(&made.body)));
}

#[tokio::test]
async fn a_refused_change_may_be_corrected_under_the_same_key() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (body, status) in [
        (json!({ "description": "" }), 400),
        (json!({ "description": "d", "status": "NOWHERE" }), 400),
        (json!({ "description": "d" }), 201),
    ] {
        let answer = Answer::to(with_key(&app, Method::POST, "/alerts/flag/bln_1", "k", &body)).await;
        assert_eq!((answer.status, is_replayed(&answer)), (status, false));
    }
}

#[tokio::test]
async fn a_repeat_of_a_conditional_change_is_answered_after_later_changes() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = flag(&app, "bln_1", json!({})).await;
    let change = |tag: &str| {
        let body = json!({ "title": "New" });
        with_key(&app, Method::PUT, &change_path(&alert), "k", &body).header("if-match", tag.to_owned())
    };
    let first = Answer::to(change("\"1\"")).await;
    put(&app, &change_path(&alert), json!({ "title": "Newer" })).await;
    let again = Answer::to(change("\"1\"")).await;
    assert_eq!((again.status, again.header("etag"), &again.body), (200, "\"2\"", &first.body));
    assert_eq!(Answer::to(change("\"3\"")).await.refusal(), (409, "IDEMPOTENCY_KEY_REUSED"));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn another_organization_may_use_the_same_key(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = beside(&app).await;
    service.create_organization("other").await.unwrap();
    let (_, key) = make_key(&service, "other", &["*"], None).await;
    let body = json!({ "description": "d" });
    let ours = Answer::to(with_key(&app, Method::POST, "/alerts/flag/bln_1", "k", &body)).await;
    let theirs = || {
        let request = app.rest_without_key(Method::POST, "/alerts/flag/bln_1").bearer_auth(&key);
        Answer::to(request.header("idempotency-key", "k").json(&body))
    };
    let (first, again) = (theirs().await, theirs().await);
    assert_eq!((first.status, is_replayed(&first)), (201, false));
    assert_eq!((&again.body, is_replayed(&again)), (&first.body, true));
    assert_ne!(first.body["anomaly_id"], ours.body["anomaly_id"]);
}

#[tokio::test]
async fn an_invalid_key_is_refused_with_the_name_of_its_header() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let change = change_path(&flag(&app, "bln_1", json!({})).await);
    for (key, message) in [
        (b"two words".as_slice(), "must hold only visible ASCII characters, has ' ' as character 4"),
        (&[b'k'; 201], "must be at most 200 characters, is 201"),
        ("ключ".as_bytes(), "must hold only visible ASCII characters, has 'к' as character 1"),
        (b"\xff", "must hold only visible ASCII characters"),
    ] {
        for (method, path, body) in [
            (Method::POST, "/alerts/flag/bln_1", json!({ "description": "d" })),
            (Method::PUT, &change, json!({ "title": "t" })),
            (Method::POST, "/alerts/ano_1/escalate", json!({ "to": ["bo"] })),
            (Method::POST, "/alerts/statuses", json!({ "name": "n", "colour": "#3B82F6" })),
            (Method::PUT, "/alerts/statuses/odd", json!({ "name": "n", "colour": "#3B82F6" })),
            (Method::DELETE, "/alerts/statuses/odd", json!({})),
        ] {
            let request = app.rest(method, path).header("idempotency-key", key).json(&body);
            let refused = Answer::to(request).await;
            assert_eq!(
                (refused.refusal(), refused.fields()),
                ((400, "GEN_VALIDATION_ERROR"), vec!["Idempotency-Key"])
            );
            assert!(refused.text().starts_with(&format!("Idempotency-Key {message}")), "{}", refused.text());
        }
    }
    // An empty key is none; the longest key is valid.
    for key in [String::new(), "~".repeat(200)] {
        let answer = Answer::to(with_key(&app, Method::PUT, &change, &key, &json!({ "title": "t" }))).await;
        assert_eq!((answer.status, is_replayed(&answer)), (200, false));
    }
    assert_eq!(post(&app, "/alerts/flag/bln_1", json!({ "description": "d" })).await.status, 201);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_change_with_a_lost_answer_happens_once(#[case] kind: DatabaseKind) {
    let limit = |config: &mut Config| config.request_timeout = Duration::from_millis(300);
    let app = TestApp::start_with(TestDatabase::create(kind).await, limit).await;
    let send = || {
        Answer::to(with_key(&app, Method::POST, "/alerts/flag/bln_1", "k", &json!({ "description": "d" })))
    };
    let held = outage::hold_writes(app.database().url()).await;
    for _ in 0..3 {
        assert_eq!(send().await.refusal(), (504, "GEN_DEADLINE_EXCEEDED"));
    }
    held.release().await;
    let (made, again) = (send().await, send().await);
    assert_eq!((made.status, &again.body, is_replayed(&again)), (201, &made.body, true));
    assert_eq!(get(&app, "/alerts").await.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(events(&app, "/events").await.len(), 1);
}

/// Sends a change twenty times at once, to the instances in turn: all get the answer of the one that made it.
async fn all_get_one_answer(urls: &[String], path: &str, key: &str, body: &Value) {
    let sent: Vec<_> = (0..20)
        .map(|number| {
            let request = reqwest::Client::new().post(format!("{}{path}", urls[number % urls.len()]));
            let request = request.bearer_auth(KEY).header("idempotency-key", key).json(body);
            tokio::spawn(Answer::to(request))
        })
        .collect();
    let mut answers = Vec::new();
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body), "{answer:?}");
    }
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn concurrent_repeats_happen_once_and_get_one_answer(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let urls = [app.url(""), another_instance(&app).await];
    let flagging = json!({ "description": "Something is off." });
    for round in 0..5 {
        all_get_one_answer(&urls, "/alerts/flag/bln_1", &format!("flag-{round}"), &flagging).await;
        let status = json!({ "name": format!("Round {round}"), "colour": "#3B82F6" });
        all_get_one_answer(&urls, "/alerts/statuses", &format!("status-{round}"), &status).await;
    }
    assert_eq!(get(&app, "/alerts?include_total=true").await.body["total"], 5);
    assert_eq!(get(&app, "/alerts/statuses").await.body["data"].as_array().unwrap().len(), 5);
    assert_eq!(events(&app, "/events").await.len(), 5);
}
