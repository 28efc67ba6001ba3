//! The history of an alert, the feed of an organization, and its hashes.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, another_instance, change_path, events, flag, get, path, post, put, types};
use crate::support::{
    DatabaseKind, TestApp,
    app::KEY,
    chain::{BEFORE_THE_FIRST, assert_chained},
    keys::{beside, make_key},
};

/// Makes an alert with an event of nearly every type, between events of another alert.
async fn eventful(app: &TestApp) -> (Value, Value) {
    let alert =
        flag(app, "bln_1", json!({ "dedup_key": "k", "metadata": { "a": 1.5, "ü": [null, 1.5e-7] } })).await;
    let other = flag(app, "txn_1", json!({ "note": "Seen by chance." })).await;
    let change = change_path(&alert);
    post(app, "/alerts/flag/bln_1", json!({ "description": "d", "dedup_key": "k" })).await;
    for body in [
        json!({ "title": "Renamed ⚠" }),
        json!({ "assigned_to": "bo" }),
        json!({ "note": "Looking into it." }),
        json!({ "status": "INVESTIGATING", "note": "So it is." }),
    ] {
        put(app, &change, body).await;
        put(app, &change_path(&other), json!({ "note": "Not forgotten." })).await;
    }
    post(app, &format!("{}/escalate", path(&alert)), json!({ "to": ["cy"] })).await;
    put(app, &change, json!({ "status": "RESOLVED", "disposition": "BENIGN" })).await;
    put(app, &change, json!({ "status": "FLAGGED" })).await;
    (alert, other)
}

/// Reads all events at `path` in pages of `size`.
async fn paged(app: &TestApp, path: &str, size: usize) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = get(app, &format!("{path}page_size={size}&page_token={token}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let data = page.body["data"].as_array().unwrap();
        assert!(data.len() <= size);
        all.extend(data.iter().cloned());
        page.body["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return all;
        }
        assert_eq!(data.len(), size);
    }
}

fn numbers(events: &[Value], field: &str) -> Vec<i64> {
    events.iter().map(|event| event[field].as_i64().unwrap()).collect()
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_alerts_history_is_read_page_by_page_oldest_first(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let (alert, other) = eventful(&app).await;
    let history = events(&app, &format!("{}/events", path(&alert))).await;
    let message =
        ["FLAGGED", "RECURRED", "UPDATED", "ASSIGNED", "NOTED", "STATUS_CHANGED", "ESCALATED", "CLOSED"];
    assert_eq!(types(&history), [message.as_slice(), &["REOPENED"]].concat());
    assert_eq!(numbers(&history, "sequence"), (1..=9).collect::<Vec<_>>());
    assert!(history.iter().all(|event| event["anomaly_id"] == alert["anomaly_id"]));
    for size in [1, 2, 9, 10] {
        assert_eq!(paged(&app, &format!("{}/events?", path(&alert)), size).await, history);
        assert_eq!(paged(&app, &format!("/cloud{}/events?", path(&alert)), size).await, history);
    }
    let others = events(&app, &format!("{}/events", path(&other))).await;
    assert_eq!(types(&others), ["FLAGGED", "NOTED", "NOTED", "NOTED", "NOTED"]);
    assert_eq!((&others[0]["note"], &others[1]["changes"]), (&json!("Seen by chance."), &json!([])));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn the_feed_has_every_event_in_order_and_ends_at_the_head(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    eventful(&app).await;
    let feed = events(&app, "/events").await;
    assert_eq!(numbers(&feed, "position"), (1..=14).collect::<Vec<_>>());
    assert_chained(&feed, BEFORE_THE_FIRST.into());
    for (after, size) in [(0, 1), (0, 5), (3, 4), (13, 3), (14, 1), (99, 7)] {
        for base in ["", "/cloud"] {
            let rest = paged(&app, &format!("{base}/events?after={after}&"), size).await;
            assert_eq!(rest, feed[after.min(14)..], "after {after}");
        }
    }
    for base in ["", "/cloud"] {
        let head = get(&app, &format!("{base}/audit/head")).await;
        let last = &feed[13];
        let message =
            json!({ "organization_id": last["organization_id"], "position": 14, "hash": last["hash"] });
        assert_eq!((head.status, head.body), (200, message));
    }
}

#[tokio::test]
async fn a_feed_without_events_ends_before_the_first() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    assert_eq!(get(&app, "/events").await.body, json!({ "data": [], "next_page_token": "" }));
    let head = get(&app, "/audit/head").await.body;
    assert_eq!((&head["position"], &head["hash"]), (&json!(0), &json!(BEFORE_THE_FIRST)));
    assert!(head["organization_id"].as_str().unwrap().starts_with("org_"));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn each_organization_has_a_feed_of_its_own(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    eventful(&app).await;
    let service = beside(&app).await;
    service.create_organization("other").await.unwrap();
    let (_, key) = make_key(&service, "other", &["*"], None).await;
    let theirs = async |method, path: &str, body: Value| {
        Answer::to(app.rest_without_key(method, path).bearer_auth(&key).json(&body)).await.body
    };
    let alert =
        theirs(Method::POST, "/alerts/flag/bln_1", json!({ "description": "d", "dedup_key": "k" })).await;
    assert_eq!(alert["occurrence_count"], 1);
    let feed = theirs(Method::GET, "/events", Value::Null).await;
    let feed = feed["data"].as_array().unwrap();
    assert_eq!((feed.len(), &feed[0]["position"]), (1, &json!(1)));
    assert_chained(feed, BEFORE_THE_FIRST.into());
    assert_eq!(theirs(Method::GET, "/audit/head", Value::Null).await["position"], 1);
    assert_eq!(get(&app, "/audit/head").await.body["position"], 14);
}

#[tokio::test]
async fn an_event_holds_the_actor_the_changes_and_the_note() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let flagged = post(&app, "/alerts/flag/bln_1", json!({ "description": "d" })).await;
    assert_eq!(events(&app, "/events").await[0]["request_id"], flagged.header("x-request-id"));
    let body = json!({ "status": "INVESTIGATING", "severity": "high", "note": "Above\r\nmy limit." });
    let request = app.rest(Method::PUT, &change_path(&flagged.body)).json(&body);
    let request = request.header("x-redflag-actor", "the analyst").header("idempotency-key", "change-1");
    assert_eq!(Answer::to(request.header("x-request-id", "trace-1")).await.status, 200);
    assert_eq!(events(&app, "/events").await[1]["request_id"], "trace-1");
    let answer = get(&app, "/events?after=1").await;
    assert_answer!(answer, @r#"
    {
      "status": 200,
      "body": {
        "data": [
          {
            "actor": {
              "key_id": "[key_id]",
              "key_name": "bootstrap",
              "on_behalf_of": "the analyst"
            },
            "anomaly_id": "[anomaly_id]",
            "changes": [
              {
                "after": "INVESTIGATING",
                "before": "FLAGGED",
                "field": "status"
              },
              {
                "after": "in_progress",
                "before": "open",
                "field": "status_class"
              },
              {
                "after": "high",
                "before": null,
                "field": "severity"
              }
            ],
            "created_at": "[created_at]",
            "event_id": "[event_id]",
            "hash": "[hash]",
            "idempotency_key": "change-1",
            "note": "Above\nmy limit.",
            "organization_id": "[organization_id]",
            "position": 2,
            "previous_hash": "[previous_hash]",
            "request_id": "[request_id]",
            "sequence": 2,
            "type": "STATUS_CHANGED"
          }
        ],
        "next_page_token": ""
      }
    }
    "#);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = path(&flag(&app, "bln_1", json!({})).await);
    for (query, fields) in [
        ("after=-1", vec!["after"]),
        ("after=x", vec!["after"]),
        ("after=1&after=2", vec!["after"]),
        ("after=-1&page_size=-1", vec!["page_size", "after"]),
        ("before=1", vec!["before"]),
        ("position=1&after=x", vec!["position", "after"]),
    ] {
        let refused = get(&app, &format!("/events?{query}")).await;
        assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), fields), "{query}");
    }
    assert_eq!(get(&app, "/events?after=-1").await.text(), "after must not be negative, is -1");
    assert_eq!(get(&app, "/events?after=99999999999999999999").await.body["data"], json!([]));
    let refused = get(&app, &format!("{alert}/events?after=1")).await;
    assert_eq!(refused.text(), "after is no parameter of this call; known ones are page_size, page_token");
    let refused = get(&app, &format!("{alert}/events?page_size=-1")).await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec!["page_size"]));
}

#[tokio::test]
async fn page_tokens_are_bound_to_their_list() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let (alert, other) = eventful(&app).await;
    let (alert, other) = (path(&alert), path(&other));
    let token = async |path: &str| {
        let page = get(&app, &format!("{path}page_size=1")).await.body;
        page["next_page_token"].as_str().unwrap().to_owned()
    };
    let lists = [
        "/events?",
        "/events?after=1&",
        &format!("{alert}/events?"),
        &format!("{other}/events?"),
        "/alerts?",
    ];
    for from in lists {
        let token = token(from).await;
        for to in lists {
            let answer = get(&app, &format!("{to}page_token={token}")).await;
            if from == to {
                assert_eq!(answer.status, 200);
            } else {
                assert_eq!(answer.refusal(), (400, "GEN_INVALID_PAGE_TOKEN"), "{from} to {to}");
            }
        }
        let damaged = get(&app, &format!("{from}page_token={}", &token[1..])).await;
        assert_eq!(damaged.refusal(), (400, "GEN_INVALID_PAGE_TOKEN"), "{from}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn reading_on_from_the_last_position_misses_no_event(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let urls = [app.url(""), another_instance(&app).await];
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let url = format!("{}/alerts/flag/txn_{writer}", urls[writer % 2]);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let request = reqwest::Client::new().post(&url).bearer_auth(KEY);
                    assert_eq!(Answer::to(request.json(&json!({ "description": "d" }))).await.status, 201);
                }
            })
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < 80 {
        let page = get(&app, &format!("/events?page_size=7&after={}", seen.len())).await.body;
        seen.extend(page["data"].as_array().unwrap().iter().cloned());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(numbers(&seen, "position"), (1..=80).collect::<Vec<_>>());
    assert_chained(&seen, BEFORE_THE_FIRST.into());
}
