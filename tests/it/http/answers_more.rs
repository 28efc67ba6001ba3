//! What failed calls answer, and the calls on statuses, to be read as documentation.

use reqwest::Method;
use serde_json::json;

use super::{Answer, add_status, delete, flag, get, post};
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

#[tokio::test]
async fn a_refusal_lists_every_field_at_fault() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = json!({ "title": "t".repeat(201), "severity": "extreme", "escalated_to": ["ana", ""] });
    let answer = post(&app, "/alerts/flag/acc_1", body).await;
    assert_answer!(answer, @r#"
    {
      "status": 400,
      "body": {
        "error": "entity_id must begin with bln_, bal_, txn_ or idt_, is \"acc_1\"; title must be at most 200 characters, is 201; description must not be empty; severity must be one of low, medium, high, critical, is \"extreme\"; escalated_to entry 2 must not be empty",
        "error_detail": {
          "code": "GEN_VALIDATION_ERROR",
          "details": {
            "fields": [
              {
                "field": "entity_id",
                "message": "must begin with bln_, bal_, txn_ or idt_, is \"acc_1\""
              },
              {
                "field": "title",
                "message": "must be at most 200 characters, is 201"
              },
              {
                "field": "description",
                "message": "must not be empty"
              },
              {
                "field": "severity",
                "message": "must be one of low, medium, high, critical, is \"extreme\""
              },
              {
                "field": "escalated_to",
                "message": "entry 2 must not be empty"
              }
            ]
          },
          "message": "entity_id must begin with bln_, bal_, txn_ or idt_, is \"acc_1\"; title must be at most 200 characters, is 201; description must not be empty; severity must be one of low, medium, high, critical, is \"extreme\"; escalated_to entry 2 must not be empty"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_refusal_of_the_wrong_type_tells_the_place() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = "{\n  \"description\": \"d\",\n  \"escalated_to\": [\"ana\", 7]\n}";
    let request = app.rest(Method::POST, "/alerts/flag/bln_1").header("content-type", "application/json");
    let answer = Answer::to(request.body(body)).await;
    assert_answer!(answer, @r#"
    {
      "status": 400,
      "body": {
        "error": "escalated_to[1] must be a string, is integer 7 (line 3, column 27)",
        "error_detail": {
          "code": "GEN_MALFORMED_REQUEST",
          "details": {
            "column": 27,
            "fields": [
              {
                "field": "escalated_to[1]",
                "message": "must be a string, is integer 7 (line 3, column 27)"
              }
            ],
            "line": 3
          },
          "message": "escalated_to[1] must be a string, is integer 7 (line 3, column 27)"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_refusal_of_an_unknown_status_tells_the_valid_ones() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    add_status(&app, "Pending Review").await;
    let answer = post(&app, "/alerts/flag/bln_1", json!({ "description": "d", "status": "DONE" })).await;
    assert_answer!(answer, @r#"
    {
      "status": 400,
      "body": {
        "error": "status must name a status that the organization has, names \"DONE\"",
        "error_detail": {
          "code": "ALERT_UNKNOWN_STATUS",
          "details": {
            "fields": [
              {
                "field": "status",
                "message": "must name a status that the organization has, names \"DONE\""
              }
            ],
            "status": "DONE",
            "valid_statuses": [
              "FLAGGED",
              "INVESTIGATING",
              "RESOLVED",
              "PENDING_REVIEW"
            ]
          },
          "message": "status must name a status that the organization has, names \"DONE\""
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_refusal_of_a_call_without_a_key() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = Answer::to(app.rest_without_key(Method::GET, "/alerts")).await;
    assert_answer!(answer, @r#"
    {
      "status": 401,
      "body": {
        "error": "an API key is needed: send it as `Authorization: Bearer <key>`",
        "error_detail": {
          "code": "AUTH_MISSING_API_KEY",
          "details": {},
          "message": "an API key is needed: send it as `Authorization: Bearer <key>`"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_refusal_of_what_does_not_exist() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = get(&app, "/alerts/ano_8a380fd1-0289-46d1-bc76-aa17a510a64e").await;
    assert_answer!(answer, @r#"
    {
      "status": 404,
      "body": {
        "error": "there is no such alert",
        "error_detail": {
          "code": "ALERT_NOT_FOUND",
          "details": {},
          "message": "there is no such alert"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_refusal_of_what_is_in_use() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    add_status(&app, "Pending Review").await;
    flag(&app, "bln_1", json!({ "status": "PENDING_REVIEW" })).await;
    let answer = delete(&app, "/alerts/statuses/pending_review").await;
    assert_answer!(answer, @r#"
    {
      "status": 409,
      "body": {
        "error": "cannot delete status: 1 alert(s) use this status - reassign them to another status first",
        "error_detail": {
          "code": "STATUS_IN_USE",
          "details": {
            "alerts": 1,
            "key": "PENDING_REVIEW"
          },
          "message": "cannot delete status: 1 alert(s) use this status - reassign them to another status first"
        }
      }
    }
    "#);
}
