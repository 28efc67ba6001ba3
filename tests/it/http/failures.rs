//! Answers of failed calls, as documentation.

use reqwest::Method;
use serde_json::json;

use super::{Answer, add_status, delete, flag, get, post};
use crate::support::{DatabaseKind, TestApp};

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
async fn a_refusal_of_a_wrong_type_names_the_position() {
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
async fn a_refusal_of_an_unknown_status_lists_the_valid_ones() {
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
async fn a_refusal_of_an_unknown_alert() {
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
async fn a_refusal_to_delete_a_status_in_use() {
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
