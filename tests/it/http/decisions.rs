//! Dispositions, and the policy that requires them.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, change_path, events, flag, get, id, path, post, put, types};
use crate::support::{DatabaseKind, TestApp, keys::beside};

/// Picks the fields of an alert's decision.
fn decision(alert: &Value) -> (&Value, &Value) {
    (&alert["disposition"], &alert["disposition_reason"])
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn closing_sets_the_person_and_time_and_reopening_clears_them(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let alert = flag(&app, "bln_1", json!({})).await;
    let change = async |body: Value| put(&app, &change_path(&alert), body).await.body;
    let body = json!({ "status": "RESOLVED", "disposition": "Benign", "disposition_reason": "Known." });
    let request = app.rest(Method::PUT, &change_path(&alert)).header("x-redflag-actor", "Zoë".as_bytes());
    let closed = Answer::to(request.json(&body)).await.body;
    assert_eq!(decision(&closed), (&json!("BENIGN"), &json!("Known.")));
    assert_eq!((&closed["closed_at"], &closed["status_class"]), (&closed["updated_at"], &json!("closed")));
    assert_eq!(closed["closed_by"]["on_behalf_of"], "Zoë");
    assert!(closed["closed_by"]["key_id"].as_str().unwrap().starts_with("key_"));
    // A change of a closed alert keeps the time of closing.
    let retitled = change(json!({ "title": "Still closed" })).await;
    assert_eq!(
        (&retitled["closed_at"], &retitled["closed_by"]),
        (&closed["closed_at"], &closed["closed_by"])
    );
    let reopened = change(json!({ "status": "FLAGGED" })).await;
    assert_eq!((&reopened["closed_at"], &reopened["closed_by"]), (&Value::Null, &Value::Null));
    assert_eq!(decision(&reopened), (&Value::Null, &json!("")));
    assert_eq!(get(&app, &path(&alert)).await.body, reopened);
    // The history keeps the old decision.
    let history = events(&app, &format!("{}/events", path(&alert))).await;
    assert_eq!(types(&history), ["FLAGGED", "CLOSED", "UPDATED", "REOPENED"]);
    let message = history[3]["changes"].as_array().unwrap();
    let before = |field: &str| &message.iter().find(|change| change["field"] == field).unwrap()["before"];
    assert_eq!((before("disposition"), before("closed_at")), (&json!("BENIGN"), &closed["closed_at"]));
}

#[tokio::test]
async fn an_alert_flagged_as_closed_is_closed_by_its_caller() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = flag(&app, "bln_1", json!({ "status": "resolved" })).await;
    assert_eq!(alert["closed_at"], alert["created_at"]);
    assert_eq!(alert["closed_by"]["on_behalf_of"], Value::Null);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_reason_needs_a_disposition(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let alert = flag(&app, "bln_1", json!({})).await;
    let change = async |body: Value| put(&app, &change_path(&alert), body).await;
    for refused in [
        json!({ "disposition_reason": "Of what?" }),
        json!({ "disposition": null, "disposition_reason": "Of what?" }),
        json!({ "status": "RESOLVED", "disposition_reason": "Of what?" }),
    ] {
        let refused = change(refused).await;
        assert_eq!(refused.fields(), ["disposition_reason"]);
        let message = "disposition_reason must stand beside a disposition, the alert has none";
        assert_eq!((refused.refusal(), refused.text()), ((400, "GEN_VALIDATION_ERROR"), message));
    }
    let refused = change(json!({ "disposition": "unsure" })).await;
    let message = "disposition must be one of TRUE_POSITIVE, FALSE_POSITIVE, BENIGN, DUPLICATE, INCONCLUSIVE, is \"unsure\"";
    assert_eq!((refused.refusal(), refused.text()), ((400, "GEN_VALIDATION_ERROR"), message));
    for (body, word, reason) in [
        (json!({ "disposition": "TRUE_positive" }), json!("TRUE_POSITIVE"), ""),
        (json!({ "disposition_reason": "Fraud." }), json!("TRUE_POSITIVE"), "Fraud."),
        (json!({ "disposition": "DUPLICATE" }), json!("DUPLICATE"), "Fraud."),
        (json!({ "disposition_reason": null }), json!("DUPLICATE"), "Fraud."),
        (json!({ "disposition_reason": "" }), json!("DUPLICATE"), ""),
        (json!({ "disposition_reason": "See the other." }), json!("DUPLICATE"), "See the other."),
        (json!({ "disposition": null }), Value::Null, ""),
    ] {
        assert_eq!(decision(&change(body.clone()).await.body), (&word, &json!(reason)), "{body}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_required_disposition_blocks_closing(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = beside(&app).await;
    let organization = service.find_organization(None).await.unwrap().id;
    service.require_disposition(organization, true).await.unwrap();
    let alert = flag(&app, "bln_1", json!({})).await;
    let change = async |body: Value| put(&app, &change_path(&alert), body).await;
    for refused in [
        json!({ "status": "RESOLVED" }),
        json!({ "status": "RESOLVED", "disposition": "BENIGN" }),
        json!({ "status": "RESOLVED", "disposition": "BENIGN", "disposition_reason": "", "note": "Please." }),
    ] {
        assert_eq!(change(refused).await.refusal(), (409, "ALERT_DISPOSITION_REQUIRED"));
    }
    let flagging =
        post(&app, "/alerts/flag/bln_1", json!({ "description": "d", "status": "RESOLVED" })).await;
    assert_eq!(flagging.refusal(), (409, "ALERT_DISPOSITION_REQUIRED"));
    assert_eq!(events(&app, "/events").await.len(), 1);
    let decided = json!({ "status": "RESOLVED", "disposition": "BENIGN", "disposition_reason": "Known." });
    assert_eq!(change(decided).await.status, 200);
    for refused in [json!({ "disposition": null }), json!({ "disposition_reason": "" })] {
        assert_eq!(change(refused).await.refusal(), (409, "ALERT_DISPOSITION_REQUIRED"));
    }
    assert_eq!(change(json!({ "status": "FLAGGED" })).await.status, 200);
    service.require_disposition(organization, false).await.unwrap();
    assert_eq!(change(json!({ "status": "RESOLVED" })).await.status, 200);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn alerts_are_listed_by_disposition(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let mut made = Vec::new();
    for word in ["BENIGN", "DUPLICATE", "BENIGN"] {
        let alert = flag(&app, "bln_1", json!({})).await;
        put(&app, &change_path(&alert), json!({ "disposition": word })).await;
        made.push(id(&alert).to_owned());
    }
    made.push(id(&flag(&app, "bln_1", json!({})).await).to_owned());
    put(&app, &format!("/alerts/flag/{}", made[2]), json!({ "status": "RESOLVED" })).await;
    for (query, expected) in [
        ("disposition=BENIGN", vec![2, 0]),
        ("disposition=Benign&disposition=duplicate", vec![2, 1, 0]),
        ("disposition=BENIGN,duplicate&order=asc", vec![0, 1, 2]),
        ("disposition=INCONCLUSIVE", vec![]),
        ("disposition=BENIGN&status_class=open", vec![0]),
        ("disposition=", vec![3, 2, 1, 0]),
    ] {
        let list = get(&app, &format!("/alerts?{query}&include_total=true")).await.body;
        let found: Vec<_> = list["data"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(found, expected.iter().map(|&index: &usize| &made[index]).collect::<Vec<_>>(), "{query}");
        assert_eq!(list["total"], expected.len(), "{query}");
    }
    let refused = get(&app, "/alerts?disposition=unsure").await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec!["disposition"]));
}
