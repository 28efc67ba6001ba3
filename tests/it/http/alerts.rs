//! Answers of the calls on alerts, as documentation.

use serde_json::json;

use super::{Answer, change_path, flag, get, post, put};
use crate::support::{DatabaseKind, TestApp};

/// Flags a balance with every field.
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

#[tokio::test]
async fn flagging_with_everything() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = flag_with_everything(&app).await;
    assert_answer!(answer, @r#"
    {
      "status": 201,
      "body": {
        "affected_balances": [
          "bln_20f02af6",
          "bal_7"
        ],
        "affected_identities": [
          "idt_4f0a2f0c"
        ],
        "affected_transactions": [
          "txn_6d1b1a4c"
        ],
        "anomaly_id": "[anomaly_id]",
        "assigned_to": "jerrys enebeli",
        "closed_at": null,
        "closed_by": null,
        "created_at": "[created_at]",
        "dedup_key": null,
        "deduplicated": false,
        "description": "Account balance has exceeded the maximum allowed limit.",
        "disposition": null,
        "disposition_reason": "",
        "escalated_to": [
          "user_01K4EX0BRXHNNGCRVT2TPNK07W",
          "ana"
        ],
        "last_occurred_at": "[last_occurred_at]",
        "metadata": {
          "limit": 1000.5,
          "rule": {
            "id": 7,
            "tags": [
              "aml",
              null
            ]
          }
        },
        "occurrence_count": 1,
        "organization_id": "[organization_id]",
        "previous_anomaly_id": null,
        "severity": "high",
        "status": "INVESTIGATING",
        "status_class": "in_progress",
        "title": "Balance threshold exceeded",
        "type": "Balance",
        "updated_at": "[updated_at]",
        "version": 1
      }
    }
    "#);
}

#[tokio::test]
async fn flagging_with_the_least() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = post(&app, "/alerts/flag/idt_4f0a2f0c", json!({ "description": "Seen before." })).await;
    assert_answer!(answer, @r#"
    {
      "status": 201,
      "body": {
        "affected_balances": [],
        "affected_identities": [
          "idt_4f0a2f0c"
        ],
        "affected_transactions": [],
        "anomaly_id": "[anomaly_id]",
        "assigned_to": "admin",
        "closed_at": null,
        "closed_by": null,
        "created_at": "[created_at]",
        "dedup_key": null,
        "deduplicated": false,
        "description": "Seen before.",
        "disposition": null,
        "disposition_reason": "",
        "escalated_to": [],
        "last_occurred_at": "[last_occurred_at]",
        "metadata": {},
        "occurrence_count": 1,
        "organization_id": "[organization_id]",
        "previous_anomaly_id": null,
        "severity": null,
        "status": "FLAGGED",
        "status_class": "open",
        "title": "",
        "type": "Identity",
        "updated_at": "[updated_at]",
        "version": 1
      }
    }
    "#);
}

#[tokio::test]
async fn reading() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let alert = flag(&app, "txn_1", json!({ "title": "Read me" })).await;
    let answer = get(&app, &format!("/alerts/{}", alert["anomaly_id"].as_str().unwrap())).await;
    assert_answer!(answer, @r#"
    {
      "status": 200,
      "body": {
        "affected_balances": [],
        "affected_identities": [],
        "affected_transactions": [
          "txn_1"
        ],
        "anomaly_id": "[anomaly_id]",
        "assigned_to": "admin",
        "closed_at": null,
        "closed_by": null,
        "created_at": "[created_at]",
        "dedup_key": null,
        "description": "Something is off.",
        "disposition": null,
        "disposition_reason": "",
        "escalated_to": [],
        "last_occurred_at": "[last_occurred_at]",
        "metadata": {},
        "occurrence_count": 1,
        "organization_id": "[organization_id]",
        "previous_anomaly_id": null,
        "severity": null,
        "status": "FLAGGED",
        "status_class": "open",
        "title": "Read me",
        "type": "Transaction",
        "updated_at": "[updated_at]",
        "version": 1
      }
    }
    "#);
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
    assert_answer!(answer, @r#"
    {
      "status": 200,
      "body": {
        "affected_balances": [
          "bln_1"
        ],
        "affected_identities": [],
        "affected_transactions": [
          "txn_2",
          "txn_1"
        ],
        "anomaly_id": "[anomaly_id]",
        "assigned_to": "",
        "closed_at": "[closed_at]",
        "closed_by": {
          "key_id": "[key_id]",
          "key_name": "bootstrap",
          "on_behalf_of": null
        },
        "created_at": "[created_at]",
        "dedup_key": null,
        "description": "Looked into.",
        "disposition": null,
        "disposition_reason": "",
        "escalated_to": [],
        "last_occurred_at": "[last_occurred_at]",
        "metadata": {},
        "occurrence_count": 1,
        "organization_id": "[organization_id]",
        "previous_anomaly_id": null,
        "severity": null,
        "status": "RESOLVED",
        "status_class": "closed",
        "title": "Threshold",
        "type": "Balance",
        "updated_at": "[updated_at]",
        "version": 2
      }
    }
    "#);
}

#[tokio::test]
async fn listing_with_a_total() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    flag(&app, "bln_1", json!({ "severity": "low" })).await;
    flag(&app, "txn_1", json!({})).await;
    let answer = get(&app, "/alerts?type=balance&include_total=true").await;
    assert_answer!(answer, @r#"
    {
      "status": 200,
      "body": {
        "data": [
          {
            "affected_balances": [
              "bln_1"
            ],
            "affected_identities": [],
            "affected_transactions": [],
            "anomaly_id": "[anomaly_id]",
            "assigned_to": "admin",
            "closed_at": null,
            "closed_by": null,
            "created_at": "[created_at]",
            "dedup_key": null,
            "description": "Something is off.",
            "disposition": null,
            "disposition_reason": "",
            "escalated_to": [],
            "last_occurred_at": "[last_occurred_at]",
            "metadata": {},
            "occurrence_count": 1,
            "organization_id": "[organization_id]",
            "previous_anomaly_id": null,
            "severity": "low",
            "status": "FLAGGED",
            "status_class": "open",
            "title": "",
            "type": "Balance",
            "updated_at": "[updated_at]",
            "version": 1
          }
        ],
        "next_page_token": "",
        "total": 1
      }
    }
    "#);
}
