//! What the calls answer, to be read as documentation: ids, times and tokens are told by their names.

use reqwest::Method;
use serde_json::json;

use super::{Answer, add_status, delete, flag, get, post, put};
use crate::support::{DatabaseKind, TestApp};

/// Checks an answer against its picture, in which whatever differs from run to run is named and not told.
macro_rules! assert_answer {
    ($answer:expr, @$picture:literal) => {{
        let mut settings = insta::Settings::clone_current();
        for field in ["anomaly_id", "organization_id", "created_at", "updated_at"] {
            settings.add_redaction(&format!(".**.{field}"), format!("[{field}]"));
        }
        settings.bind(|| insta::assert_json_snapshot!($answer, @$picture));
    }};
}

/// Flags a balance with everything that can be said; the answer.
async fn flag_with_everything(app: &TestApp) -> Answer {
    let body = json!({
        "title": "Balance threshold exceeded",
        "description": "Account balance has exceeded the maximum allowed limit.",
        "additional_entity_ids": ["txn_6d1b1a4c", "idt_4f0a2f0c", "bal_7"],
        "status": "investigating",
        "severity": "high",
        "assigned_to": "jerrys enebeli",
        "escalated_to": ["user_01K4EX0BRXHNNGCRVT2TPNK07W", "ana"],
        "metadata": { "limit": 1000.5, "rule": { "id": 7, "tags": ["aml", null] } },
    });
    post(app, "/alerts/flag/bln_20f02af6", body).await
}

/// The alert's path for changes.
fn change_path(alert: &serde_json::Value) -> String {
    format!("/alerts/flag/{}", alert["anomaly_id"].as_str().unwrap())
}

#[tokio::test]
async fn flagging_with_everything() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = flag_with_everything(&app).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn flagging_with_the_least() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = post(&app, "/alerts/flag/idt_4f0a2f0c", json!({ "description": "Seen before." })).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn reading() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = flag(&app, "txn_1", json!({ "title": "Read me" })).await;
    let answer = get(&app, &format!("/alerts/{}", alert["anomaly_id"].as_str().unwrap())).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn changing_everything() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = flag_with_everything(&app).await.body;
    let body = json!({
        "title": "Threshold",
        "description": "Looked into.",
        "status": "RESOLVED",
        "severity": null,
        "assigned_to": "",
        "escalated_to": [],
        "metadata": {},
        "affected_balances": ["bln_1"],
        "affected_identities": [],
        "affected_transactions": ["txn_2", "txn_1"],
    });
    let answer = put(&app, &change_path(&alert), body).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn listing_with_a_total() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    flag(&app, "bln_1", json!({ "severity": "low" })).await;
    flag(&app, "txn_1", json!({ "title": "Newest first" })).await;
    let answer = get(&app, "/alerts?include_total=true").await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn adding_a_status() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer =
        post(&app, "/alerts/statuses", json!({ "name": "Pending Review", "colour": "#3B82F6" })).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn listing_statuses() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    add_status(&app, "Pending Review").await;
    let answer = get(&app, "/alerts/statuses").await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn a_refusal_lists_every_field_at_fault() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = json!({ "title": "t".repeat(201), "severity": "extreme", "escalated_to": ["ana", ""] });
    let answer = post(&app, "/alerts/flag/acc_1", body).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn a_refusal_of_the_wrong_type_tells_the_place() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = "{\n  \"description\": \"d\",\n  \"escalated_to\": [\"ana\", 7]\n}";
    let request = app.rest(Method::POST, "/alerts/flag/bln_1").header("content-type", "application/json");
    let answer = Answer::to(request.body(body)).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn a_refusal_of_an_unknown_status_tells_the_valid_ones() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    add_status(&app, "Pending Review").await;
    let answer = post(&app, "/alerts/flag/bln_1", json!({ "description": "d", "status": "DONE" })).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn a_refusal_of_a_call_without_a_key() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = Answer::to(app.rest_without_key(Method::GET, "/alerts")).await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn a_refusal_of_what_does_not_exist() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = get(&app, "/alerts/ano_8a380fd1-0289-46d1-bc76-aa17a510a64e").await;
    assert_answer!(answer, @"");
}

#[tokio::test]
async fn a_refusal_of_what_is_in_use() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    add_status(&app, "Pending Review").await;
    flag(&app, "bln_1", json!({ "status": "PENDING_REVIEW" })).await;
    let answer = delete(&app, "/alerts/statuses/pending_review").await;
    assert_answer!(answer, @"");
}
