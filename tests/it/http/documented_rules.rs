//! Rules of the documented calls beyond their shapes.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::{Answer, add_status, delete, flag, get, post, put};
use crate::support::{DatabaseKind, TestApp};

#[tokio::test]
async fn the_answer_to_a_flag_holds_the_flagged_entity() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (entity, kind, list) in [
        ("bln_1", "Balance", "affected_balances"),
        ("bal_1", "Balance", "affected_balances"),
        ("txn_1", "Transaction", "affected_transactions"),
        ("idt_1", "Identity", "affected_identities"),
    ] {
        let alert = flag(&app, entity, json!({})).await;
        assert_eq!(
            (&alert["type"], &alert["status"], &alert["title"]),
            (&json!(kind), &json!("FLAGGED"), &json!(""))
        );
        assert_eq!(alert["created_at"], alert["updated_at"]);
        assert_eq!(alert["escalated_to"], json!([]));
        for other in ["affected_balances", "affected_transactions", "affected_identities"] {
            assert_eq!(alert[other], if other == list { json!([entity]) } else { json!([]) });
        }
        let id = alert["anomaly_id"].as_str().unwrap();
        assert!(id.starts_with("ano_") && id.len() == 40, "{id}");
    }
}

#[tokio::test]
async fn several_alerts_on_one_entity_are_allowed() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let (one, two) = (flag(&app, "bln_1", json!({})).await, flag(&app, "bln_1", json!({})).await);
    assert_ne!(one["anomaly_id"], two["anomaly_id"]);
    assert_eq!(get(&app, "/alerts").await.body["data"], json!([two, one]));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_update_answers_the_stored_alert(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    add_status(&app, "Pending Review").await;
    let flagged = flag(&app, "bln_1", json!({ "title": "Before" })).await;
    let alert = format!("/alerts/{}", flagged["anomaly_id"].as_str().unwrap());
    let path = alert.replace("/alerts/", "/alerts/flag/");
    let updated = put(&app, &path, json!({ "status": "PENDING_REVIEW" })).await.body;
    assert_eq!((&updated["status"], &updated["title"]), (&json!("PENDING_REVIEW"), &json!("Before")));
    assert_eq!((&updated["version"], &updated["created_at"]), (&json!(2), &flagged["created_at"]));
    assert_eq!(get(&app, &alert).await.body, updated);
    // No field, an equal value or a read-only field changes nothing.
    for same in [
        json!({}),
        json!({ "title": "Before", "status": "pending_review", "version": 9, "type": "Identity" }),
    ] {
        assert_eq!(put(&app, &path, same).await.body, updated);
    }
}

#[tokio::test]
async fn unknown_fields_of_a_request_are_ignored() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = flag(&app, "bln_1", json!({ "flagged_by": { "team": [1] }, "anomaly_id": 7 })).await;
    let path = format!("/alerts/flag/{}", alert["anomaly_id"].as_str().unwrap());
    assert_eq!(put(&app, &path, json!({ "reason": null, "created_at": "yesterday" })).await.body, alert);
    let status = json!({ "name": "Odd", "colour": "#3B82F6", "icon": "flag" });
    assert_eq!(post(&app, "/alerts/statuses", status).await.status, 201);
    let status = json!({ "name": "Even", "colour": "#3B82F6", "key": "EVEN", "icon": 1 });
    assert_eq!(put(&app, "/alerts/statuses/odd", status).await.body["key"], "ODD");
}

#[tokio::test]
async fn a_status_key_is_derived_from_the_name_unless_given() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (body, key) in [
        (json!({ "name": "Pending Review", "colour": "#3B82F6" }), "PENDING_REVIEW"),
        (json!({ "name": "2nd  look (team-b)!", "colour": "#10b981" }), "2ND_LOOK_TEAM_B"),
        (json!({ "name": "Anything", "colour": "#F59E0B", "key": "custom_key" }), "CUSTOM_KEY"),
        (json!({ "name": "No key", "colour": "#F59E0B", "key": null }), "NO_KEY"),
    ] {
        let answer = post(&app, "/alerts/statuses", body.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["key"], &answer.body["name"]),
            (201, &json!(key), &body["name"])
        );
    }
}

#[tokio::test]
async fn exactly_the_documented_colours_are_allowed() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let documented = "#3B82F6 #10B981 #F59E0B #EF4444 #8B5CF6 #EC4899 #06B6D4 #84CC16 #F97316 #6366F1 #14B8A6 \
                      #A855F7 #E11D48 #64748B #0EA5E9";
    let documented: Vec<_> = documented.split(' ').collect();
    assert_eq!(get(&app, "/alerts/statuses").await.body["allowed_colours"], json!(documented));
    for colour in documented {
        let body = json!({ "name": colour, "colour": colour.to_lowercase() });
        let answer = post(&app, "/alerts/statuses", body).await;
        assert_eq!((answer.status, &answer.body["colour"]), (201, &json!(colour)));
    }
    let refused = post(&app, "/alerts/statuses", json!({ "name": "Black", "colour": "#000000" })).await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec!["colour"]));
}

#[tokio::test]
async fn the_list_of_statuses_separates_custom_and_builtin_ones() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let list = get(&app, "/alerts/statuses").await.body;
    assert_eq!(list["data"], json!([]));
    let keys: Vec<_> = list["builtin"].as_array().unwrap().iter().map(|status| &status["key"]).collect();
    assert_eq!(keys, ["FLAGGED", "INVESTIGATING", "RESOLVED"]);
    let added = add_status(&app, "Odd").await;
    assert_eq!(get(&app, "/alerts/statuses").await.body["data"], json!([added]));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_status_is_changed_and_deleted_by_its_key_in_any_case(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let added = add_status(&app, "Pending Review").await;
    let changed =
        put(&app, "/alerts/statuses/pending_Review", json!({ "name": "Look", "colour": "#E11D48" })).await;
    assert_eq!((changed.status, &changed.body["key"]), (200, &added["key"]));
    assert_eq!((&changed.body["name"], &changed.body["colour"]), (&json!("Look"), &json!("#E11D48")));
    let deleted = delete(&app, "/alerts/statuses/pending_review").await;
    assert_eq!((deleted.status, deleted.body), (200, json!({ "message": "Status deleted" })));
    assert_eq!(delete(&app, "/alerts/statuses/pending_review").await.refusal(), (404, "STATUS_NOT_FOUND"));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_status_used_by_a_closed_alert_is_not_deleted(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let closed = json!({ "name": "Done", "colour": "#3B82F6", "class": "closed" });
    assert_eq!(post(&app, "/alerts/statuses", closed).await.status, 201);
    for entity in ["bln_1", "bln_2", "txn_3"] {
        flag(&app, entity, json!({ "status": "done" })).await;
    }
    let refused = delete(&app, "/alerts/statuses/done").await;
    assert_eq!(refused.refusal(), (409, "STATUS_IN_USE"));
    let documented =
        "cannot delete status: 3 alert(s) use this status - reassign them to another status first";
    assert_eq!(refused.text(), documented);
    assert_eq!(get(&app, "/alerts/statuses").await.body["data"][0]["key"], "DONE");
}

#[tokio::test]
async fn the_path_of_statuses_is_never_an_alert() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for base in ["/alerts", "/cloud/alerts"] {
        assert!(get(&app, &format!("{base}/statuses")).await.body["allowed_colours"].is_array());
        let refused = get(&app, &format!("{base}/flag")).await;
        assert_eq!(refused.refusal(), (404, "ALERT_NOT_FOUND"));
        let flagging =
            Answer::to(app.rest(Method::POST, &format!("{base}/flag/statuses")).json(&json!({}))).await;
        assert_eq!(flagging.status, 400);
    }
}
