//! Answers of the calls on statuses, as documentation.

use serde_json::json;

use super::{add_status, get, post};
use crate::support::{DatabaseKind, TestApp};

#[tokio::test]
async fn adding_a_status() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer =
        post(&app, "/alerts/statuses", json!({ "name": "Pending Review", "colour": "#3B82F6" })).await;
    assert_answer!(answer, @r##"
    {
      "status": 201,
      "body": {
        "class": "in_progress",
        "colour": "#3B82F6",
        "created_at": "[created_at]",
        "key": "PENDING_REVIEW",
        "name": "Pending Review",
        "organization_id": "[organization_id]",
        "updated_at": "[updated_at]"
      }
    }
    "##);
}

#[tokio::test]
async fn listing_statuses() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    add_status(&app, "Pending Review").await;
    let answer = get(&app, "/alerts/statuses").await;
    assert_answer!(answer, @r##"
    {
      "status": 200,
      "body": {
        "allowed_colours": "[the documented colours]",
        "builtin": [
          {
            "class": "open",
            "colour": "#EF4444",
            "created_at": "[created_at]",
            "key": "FLAGGED",
            "name": "Flagged",
            "organization_id": "[organization_id]",
            "updated_at": "[updated_at]"
          },
          {
            "class": "in_progress",
            "colour": "#F59E0B",
            "created_at": "[created_at]",
            "key": "INVESTIGATING",
            "name": "Investigating",
            "organization_id": "[organization_id]",
            "updated_at": "[updated_at]"
          },
          {
            "class": "closed",
            "colour": "#10B981",
            "created_at": "[created_at]",
            "key": "RESOLVED",
            "name": "Resolved",
            "organization_id": "[organization_id]",
            "updated_at": "[updated_at]"
          }
        ],
        "data": [
          {
            "class": "in_progress",
            "colour": "#3B82F6",
            "created_at": "[created_at]",
            "key": "PENDING_REVIEW",
            "name": "Pending Review",
            "organization_id": "[organization_id]",
            "updated_at": "[updated_at]"
          }
        ],
        "next_page_token": ""
      }
    }
    "##);
}
