//! Repeated flags: deduplication by `dedup_key`.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, another_instance, change_path, events, flag, get, id, path, post, put, types};
use crate::support::{DatabaseKind, TestApp, app::KEY};

/// Flags with the same deduplication key.
async fn repeat(app: &TestApp, entity: &str, more: Value) -> Answer {
    let mut body = json!({ "description": "Over the limit.", "dedup_key": "limit:bln_1" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(app, &format!("/alerts/flag/{entity}"), body).await
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_repeat_folds_into_the_open_alert(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let first = repeat(&app, "bln_1", json!({ "severity": "medium", "title": "First" })).await;
    assert_eq!((first.status, &first.body["deduplicated"]), (201, &json!(false)));
    assert_eq!(
        (&first.body["dedup_key"], &first.body["occurrence_count"]),
        (&json!("limit:bln_1"), &json!(1))
    );
    assert_eq!(first.body["last_occurred_at"], first.body["created_at"]);
    let more = json!({ "severity": "low", "title": "Second", "assigned_to": "bo", "status": "INVESTIGATING",
        "escalated_to": ["bo"], "metadata": { "a": 1 }, "additional_entity_ids": ["idt_1", "bln_1"] });
    let second = repeat(&app, "txn_1", more).await;
    assert_eq!((second.status, &second.body["deduplicated"]), (200, &json!(true)));
    assert!(!second.headers.contains_key("location"));
    let mut expected = first.body.clone();
    let at = &second.body["last_occurred_at"];
    assert!(at.as_str() > first.body["created_at"].as_str());
    expected.as_object_mut().unwrap().extend(
        json!({ "affected_transactions": ["txn_1"], "affected_identities": ["idt_1"], "occurrence_count": 2,
            "version": 2, "deduplicated": true, "updated_at": at, "last_occurred_at": at })
        .as_object()
        .unwrap()
        .clone(),
    );
    assert_eq!(second.body, expected);
    let third = repeat(&app, "bln_1", json!({ "severity": "critical" })).await;
    assert_eq!((&third.body["severity"], &third.body["version"]), (&json!("critical"), &json!(3)));
    assert_eq!(get(&app, "/alerts?entity_id=idt_1,txn_1&include_total=true").await.body["total"], 1);
    assert_eq!(get(&app, "/alerts?severity=critical").await.body["data"][0]["occurrence_count"], 3);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn history_records_ever_fewer_repeats(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let alert = repeat(&app, "bln_1", json!({})).await.body;
    for count in 2..=30 {
        let body = repeat(&app, "bln_1", json!({})).await.body;
        assert_eq!((&body["occurrence_count"], &body["version"]), (&json!(count), &json!(count)));
    }
    let history = events(&app, &format!("{}/events", path(&alert))).await;
    let counts: Vec<_> = history[1..].iter().map(occurrences).collect();
    assert_eq!(counts, (2..=10).chain([20, 30]).collect::<Vec<_>>());
    assert!(types(&history)[1..].iter().all(|kind| *kind == "RECURRED"));
    // A repeat that changes more than the count is always recorded.
    for more in [
        json!({ "severity": "low" }),
        json!({ "note": "Again." }),
        json!({ "additional_entity_ids": ["txn_1"] }),
        json!({ "severity": "low", "additional_entity_ids": ["txn_1"] }),
    ] {
        repeat(&app, "bln_1", more).await;
    }
    let history = events(&app, &format!("{}/events", path(&alert))).await;
    assert_eq!(history[12..].iter().map(occurrences).collect::<Vec<_>>(), [31, 32, 33]);
    assert_eq!(get(&app, &path(&alert)).await.body["occurrence_count"], 34);
}

/// Reads the occurrence that an event records.
fn occurrences(event: &Value) -> i64 {
    let changes = event["changes"].as_array().unwrap();
    let count = changes.iter().find(|change| change["field"] == "occurrence_count");
    count.unwrap()["after"].as_i64().unwrap()
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_flag_after_closing_makes_an_alert_that_names_the_previous_one(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let first = repeat(&app, "bln_1", json!({})).await.body;
    put(&app, &change_path(&first), json!({ "status": "RESOLVED" })).await;
    let second = repeat(&app, "bln_1", json!({})).await;
    assert_eq!((second.status, &second.body["previous_anomaly_id"]), (201, &first["anomaly_id"]));
    let refused = put(&app, &change_path(&first), json!({ "status": "FLAGGED" })).await;
    assert_eq!(refused.refusal(), (409, "ALERT_DEDUP_KEY_IN_USE"));
    assert_eq!(refused.body["error_detail"]["details"], json!({ "anomaly_id": id(&second.body) }));
    assert!(refused.text().contains(id(&second.body)), "{}", refused.text());
    put(&app, &change_path(&second.body), json!({ "status": "RESOLVED" })).await;
    assert_eq!(put(&app, &change_path(&first), json!({ "status": "INVESTIGATING" })).await.status, 200);
    let folded = repeat(&app, "bln_1", json!({})).await;
    assert_eq!((folded.status, id(&folded.body)), (200, id(&first)));
}

#[tokio::test]
async fn alerts_without_a_key_or_with_other_keys_do_not_fold() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for key in [json!("a"), json!("A"), json!(" a"), json!(""), json!(""), Value::Null, Value::Null] {
        flag(&app, "bln_1", json!({ "dedup_key": key })).await;
    }
    assert_eq!(get(&app, "/alerts?include_total=true").await.body["total"], 7);
    let refused = repeat(&app, "bln_1", json!({ "dedup_key": "k".repeat(201) })).await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec!["dedup_key"]));
    assert_eq!(refused.text(), "dedup_key must be at most 200 characters, is 201");
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn entities_beyond_the_limit_are_left_out_and_counted(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let entities =
        |from: usize, to: usize| (from..to).map(|number| format!("txn_{number}")).collect::<Vec<_>>();
    let alert = repeat(&app, "bln_1", json!({ "additional_entity_ids": entities(0, 90) })).await.body;
    let full = repeat(&app, "bln_1", json!({ "additional_entity_ids": entities(80, 130) })).await;
    assert_eq!((full.status, &full.body["occurrence_count"]), (200, &json!(2)));
    assert_eq!(full.body["affected_transactions"], json!(entities(0, 99)));
    let history = events(&app, &format!("{}/events", path(&alert))).await;
    let left_out = json!({ "field": "entities_left_out", "before": 0, "after": 31 });
    assert!(history[1]["changes"].as_array().unwrap().contains(&left_out), "{}", history[1]);
}

/// Flags concurrently through several instances, and counts the new alerts.
async fn storm(urls: &[String], count: usize) -> usize {
    let sent: Vec<_> = (0..count)
        .map(|number| {
            let url = format!("{}/alerts/flag/bln_1", urls[number % urls.len()]);
            let body = json!({ "description": "Over the limit.", "dedup_key": "limit:bln_1" });
            tokio::spawn(Answer::to(reqwest::Client::new().post(url).bearer_auth(KEY).json(&body)))
        })
        .collect();
    let mut made = 0;
    for answer in sent {
        let answer = answer.await.unwrap();
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        made += usize::from(answer.status == 201);
    }
    made
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn concurrent_repeats_over_two_instances_make_one_alert(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let urls = [app.url(""), another_instance(&app).await];
    assert_eq!(storm(&urls, 100).await, 1);
    let list = Answer::to(app.rest(Method::GET, "/alerts")).await.body;
    let alert = &list["data"][0];
    assert_eq!((&alert["occurrence_count"], &alert["version"]), (&json!(100), &json!(100)));
    let history = events(&app, &format!("{}/events", path(alert))).await;
    let counts: Vec<_> = history[1..].iter().map(occurrences).collect();
    assert_eq!(counts, (2..=10).chain((2..=10).map(|tens| tens * 10)).collect::<Vec<_>>());
}
