//! Refusals of calls.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Answer, add_status, delete, flag, get, post, put};
use crate::support::{
    DatabaseKind, TestApp,
    app::KEY,
    keys::{beside, make_key},
};

/// Flags with a raw body.
async fn flag_with(app: &TestApp, content_type: &str, body: &'static str) -> Answer {
    let request = app.rest(Method::POST, "/alerts/flag/bln_1").header("content-type", content_type);
    Answer::to(request.body(body)).await
}

#[tokio::test]
async fn metadata_that_is_far_too_large_is_refused_with_its_size() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = post(
        &app,
        "/alerts/flag/bln_1",
        json!({ "description": "d", "metadata": { "a": vec![1; 400_000] } }),
    )
    .await;
    assert_eq!(answer.refusal(), (400, "GEN_VALIDATION_ERROR"));
    assert_eq!(answer.text(), "metadata must be at most 16384 bytes as JSON, is 800007");
}

#[tokio::test]
async fn a_malformed_body_is_refused_with_the_position_and_the_field() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (body, text, fields) in [
        ("", "the body is empty, it must be a JSON object", vec![]),
        (" \n ", "the body is empty, it must be a JSON object", vec![]),
        ("[]", "the body must be a JSON object, is another JSON value", vec![]),
        ("{\"description\": \"d\",\n}", "the body is no JSON: trailing comma at line 2, column 1", vec![]),
        (
            "{\"description\": \"d\"} {}",
            "the body is no JSON: trailing characters at line 1, column 22",
            vec![],
        ),
        (
            "{\n\"description\": 5}",
            "description must be a string, is integer 5 (line 2, column 16)",
            vec!["description"],
        ),
        (
            r#"{"additional_entity_ids": ["txn_1", {}]}"#,
            "additional_entity_ids[1] must be a string, is map (line 1, column 36)",
            vec!["additional_entity_ids[1]"],
        ),
        (
            r#"{"metadata": {"a": {"b": 1, "b": 2}}}"#,
            "metadata.a must hold each name once, has \"b\" again (line 1, column 35)",
            vec!["metadata.a"],
        ),
        (
            r#"{"metadata": "none"}"#,
            "metadata must be an object, is string \"none\" (line 1, column 19)",
            vec!["metadata"],
        ),
        (r#"{"title": "a", "title": "b"}"#, "title must be given once (line 1, column 22)", vec!["title"]),
    ] {
        let refused = flag_with(&app, "application/json", body).await;
        assert_eq!(refused.refusal(), (400, "GEN_MALFORMED_REQUEST"), "{body}");
        assert_eq!((refused.text(), refused.fields()), (text, fields), "{body}");
        let details = &refused.body["error_detail"]["details"];
        assert_eq!(
            details["line"].is_u64() && details["column"].is_u64(),
            text.contains("line"),
            "{details}"
        );
    }
}

#[tokio::test]
async fn a_body_of_another_content_type_is_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"] {
        let refused = flag_with(&app, content_type, r#"{"description": "d"}"#).await;
        assert_eq!(refused.refusal(), (415, "GEN_UNSUPPORTED_MEDIA_TYPE"), "{content_type}");
    }
    for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(flag_with(&app, content_type, r#"{"description": "d"}"#).await.status, 201);
    }
    let untold = app.rest(Method::POST, "/alerts/flag/bln_1").body("{}");
    assert_eq!(Answer::to(untold).await.refusal(), (415, "GEN_UNSUPPORTED_MEDIA_TYPE"));
}

/// Sends a raw request and returns the answer.
async fn exchange(app: &TestApp, head: &str, body: &[u8]) -> String {
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\nconnection: close\r\n{head}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_with_and_without_a_length() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let message = exchange(&app, "content-length: 1048577", b"").await;
    assert!(message.starts_with("HTTP/1.1 413 "), "{message}");
    assert!(message.contains("the body must be at most 1048576 bytes, is 1048577 bytes"), "{message}");
    let chunk = [b"100001\r\n".to_vec(), vec![b' '; 1_048_577]].concat();
    let found = exchange(&app, "transfer-encoding: chunked", &chunk).await;
    assert!(found.starts_with("HTTP/1.1 413 ") && found.contains("GEN_PAYLOAD_TOO_LARGE"), "{found}");
    let whole = format!("{{\"description\": \"d\"{}}}", " ".repeat(1_048_576 - 20));
    let fits = exchange(&app, &format!("content-length: {}", whole.len()), whole.as_bytes()).await;
    assert!(fits.starts_with("HTTP/1.1 201 "), "{fits}");
}

#[tokio::test]
async fn every_field_at_fault_is_listed() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = json!({
        "title": "t".repeat(201), "description": "", "status": "no key", "severity": "extreme",
        "assigned_to": "a\u{0}", "escalated_to": [""], "metadata": { "n": 9_007_199_254_740_993_u64 },
        "additional_entity_ids": ["acc_1"],
    });
    let refused = post(&app, "/alerts/flag/bln_", body.clone()).await;
    assert_eq!(refused.refusal(), (400, "GEN_VALIDATION_ERROR"));
    let message =
        ["entity_id", "additional_entity_ids", "title", "description", "status", "severity", "assigned_to"];
    assert_eq!(refused.fields(), [message.as_slice(), &["escalated_to", "metadata"]].concat());
    let alert = flag(&app, "bln_1", json!({})).await;
    let path = format!("/alerts/flag/{}", alert["anomaly_id"].as_str().unwrap());
    let refused = put(&app, &path, body).await;
    assert_eq!(
        refused.fields(),
        ["title", "description", "status", "severity", "assigned_to", "escalated_to", "metadata"]
    );
    let refused = put(&app, &path, json!({ "affected_balances": ["txn_1"] })).await;
    assert_eq!(
        (refused.refusal(), refused.fields()),
        ((400, "ALERT_INVALID_ENTITY_ID"), vec!["affected_balances"])
    );
    let refused = put(&app, &path, json!({ "affected_balances": [] })).await;
    assert_eq!(refused.refusal(), (400, "GEN_VALIDATION_ERROR"));
    let refused = post(&app, "/alerts/statuses", json!({ "class": "ajar" })).await;
    assert_eq!(refused.fields(), ["name", "colour", "class"]);
}

#[tokio::test]
async fn an_entity_id_alone_has_a_reason_of_its_own() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for path in ["acc_1", "bln_", "bln_a%20b", "%00", "bln_%C3%A4", "%FF"] {
        let refused = post(&app, &format!("/alerts/flag/{path}"), json!({ "description": "d" })).await;
        assert_eq!(
            (refused.refusal(), refused.fields()),
            ((400, "ALERT_INVALID_ENTITY_ID"), vec!["entity_id"]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_call_without_a_valid_key_is_refused_with_a_challenge() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let (_, expired) = make_key(&beside(&app).await, "default", &["*"], Some(Duration::ZERO)).await;
    let unknown = "rf_0123456789012345678901234567890123456789";
    for (header, value, reason) in [
        ("x-other", String::new(), "AUTH_MISSING_API_KEY"),
        ("authorization", "Bearer ".to_owned(), "AUTH_MISSING_API_KEY"),
        ("x-blnk-key", String::new(), "AUTH_MISSING_API_KEY"),
        ("authorization", format!("Bearer {unknown}"), "AUTH_INVALID_API_KEY"),
        ("authorization", format!("Basic {KEY}"), "AUTH_INVALID_API_KEY"),
        ("authorization", "Bearer short".to_owned(), "AUTH_INVALID_API_KEY"),
        ("x-blnk-key", unknown.to_owned(), "AUTH_INVALID_API_KEY"),
        ("authorization", format!("Bearer {expired}"), "AUTH_EXPIRED_API_KEY"),
        ("x-blnk-key", expired.clone(), "AUTH_EXPIRED_API_KEY"),
    ] {
        // The scope is checked before the body.
        for (method, path) in [(Method::GET, "/alerts"), (Method::POST, "/cloud/alerts/flag/junk")] {
            let refused = Answer::to(app.rest_without_key(method, path).header(header, &value)).await;
            assert_eq!(refused.refusal(), (401, reason), "{header}: {value}");
            assert_eq!(refused.header("www-authenticate"), "Bearer");
            assert!(
                !refused.body.to_string().contains(unknown) && !refused.body.to_string().contains(&expired)
            );
        }
    }
}

#[tokio::test]
async fn the_blnk_key_works_beside_the_credentials_of_a_proxy() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let request = app.rest_without_key(Method::GET, "/alerts").header("authorization", "Basic YTpi");
    assert_eq!(Answer::to(request.header("x-blnk-key", KEY)).await.status, 200);
}

#[tokio::test]
async fn each_call_needs_its_scope_and_no_other() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let service = beside(&app).await;
    for scope in ["alerts:read", "alerts:write", "statuses:write"] {
        let (_, key) = make_key(&service, "default", &[scope], None).await;
        for (method, path, needed) in [
            (Method::POST, "/alerts/flag/bln_1", "alerts:write"),
            (Method::PUT, "/alerts/flag/ano_1", "alerts:write"),
            (Method::POST, "/alerts/ano_1/escalate", "alerts:write"),
            (Method::GET, "/alerts/ano_1", "alerts:read"),
            (Method::GET, "/alerts/ano_1/events", "alerts:read"),
            (Method::GET, "/events", "alerts:read"),
            (Method::GET, "/audit/head", "alerts:read"),
            (Method::GET, "/alerts", "alerts:read"),
            (Method::GET, "/alerts/statuses", "alerts:read"),
            (Method::POST, "/alerts/statuses", "statuses:write"),
            (Method::PUT, "/alerts/statuses/ODD", "statuses:write"),
            (Method::DELETE, "/alerts/statuses/ODD", "statuses:write"),
        ] {
            let request = app.rest_without_key(method, path).bearer_auth(&key).json(&json!({}));
            let answer = Answer::to(request).await;
            assert_eq!(answer.status != 403, scope == needed, "{path} with {scope}: {answer:?}");
            if answer.status == 403 {
                assert_eq!(answer.refusal().1, "AUTH_INSUFFICIENT_PERMISSIONS");
                assert_eq!(answer.body["error_detail"]["details"]["missing_scope"], needed);
            }
        }
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn unknown_resources_are_not_found(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = beside(&app).await;
    service.create_organization("other").await.unwrap();
    let (_, key) = make_key(&service, "other", &["*"], None).await;
    let others = Answer::to(
        app.rest_without_key(Method::POST, "/alerts/flag/bln_1")
            .bearer_auth(key)
            .json(&json!({ "description": "d" })),
    );
    let others = others.await.body["anomaly_id"].as_str().unwrap().to_owned();
    for id in [&others, "ano_8a380fd1-0289-46d1-bc76-aa17a510a64e", "ano_1", "x", "%00", "%FF", "a%2Fb"] {
        assert_eq!(get(&app, &format!("/alerts/{id}")).await.refusal(), (404, "ALERT_NOT_FOUND"), "{id}");
        let change = put(&app, &format!("/alerts/flag/{id}"), json!({ "title": "t" })).await;
        assert_eq!(change.refusal(), (404, "ALERT_NOT_FOUND"), "{id}");
        let events = get(&app, &format!("/alerts/{id}/events")).await;
        assert_eq!(events.refusal(), (404, "ALERT_NOT_FOUND"), "{id}");
        let escalation = post(&app, &format!("/alerts/{id}/escalate"), json!({ "to": ["ana"] })).await;
        assert_eq!(escalation.refusal(), (404, "ALERT_NOT_FOUND"), "{id}");
    }
    for key in ["NOWHERE", "no%20key", "%00"] {
        let path = format!("/alerts/statuses/{key}");
        assert_eq!(delete(&app, &path).await.refusal(), (404, "STATUS_NOT_FOUND"));
        let change = put(&app, &path, json!({ "name": "n", "colour": "#3B82F6" })).await;
        assert_eq!(change.refusal(), (404, "STATUS_NOT_FOUND"));
    }
    for path in [
        "/",
        "/alert",
        "/alerts/",
        "/alerts/a/b",
        "/cloud",
        "/cloud/alerts/statuses/a/b",
        "/docs/none.js",
        "/%FF",
    ] {
        assert_eq!(get(&app, path).await.refusal(), (404, "GEN_NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn an_unsupported_method_is_refused_with_the_allowed_ones() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (method, path, allowed) in [
        (Method::DELETE, "/alerts", "GET,HEAD"),
        (Method::PATCH, "/alerts/ano_1", "GET,HEAD"),
        (Method::GET, "/cloud/alerts/flag/bln_1", "POST,PUT"),
        (Method::DELETE, "/alerts/statuses", "GET,HEAD,POST"),
        (Method::GET, "/alerts/statuses/ODD", "DELETE,PUT"),
        (Method::GET, "/alerts/ano_1/escalate", "POST"),
        (Method::DELETE, "/alerts/ano_1/events", "GET,HEAD"),
        (Method::PUT, "/cloud/events", "GET,HEAD"),
        (Method::POST, "/audit/head", "GET,HEAD"),
        (Method::POST, "/healthz", "GET,HEAD"),
        (Method::POST, "/openapi.json", "GET,HEAD"),
        (Method::PUT, "/docs/", "GET,HEAD"),
        ("JUNK".parse().unwrap(), "/readyz", "GET,HEAD"),
    ] {
        let refused = Answer::to(app.rest(method.clone(), path)).await;
        assert_eq!(refused.refusal(), (405, "GEN_METHOD_NOT_ALLOWED"), "{method} {path}");
        let mut message: Vec<_> = refused.header("allow").split(',').map(str::trim).collect();
        message.sort_unstable();
        assert_eq!(message.join(","), allowed, "{method} {path}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn conflicting_changes_are_refused(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    add_status(&app, "Odd").await;
    flag(&app, "bln_1", json!({ "status": "ODD" })).await;
    for (name, key) in
        [("Odd", None), ("odd!", None), ("x", Some("odd")), ("Flagged", None), ("y", Some("resolved"))]
    {
        let refused =
            post(&app, "/alerts/statuses", json!({ "name": name, "colour": "#3B82F6", "key": key })).await;
        assert_eq!(refused.refusal(), (409, "STATUS_DUPLICATE_KEY"), "{name}");
    }
    let change = json!({ "name": "n", "colour": "#3B82F6" });
    assert_eq!(put(&app, "/alerts/statuses/flagged", change).await.refusal(), (409, "STATUS_BUILTIN"));
    assert_eq!(delete(&app, "/alerts/statuses/resolved").await.refusal(), (409, "STATUS_BUILTIN"));
    assert_eq!(delete(&app, "/alerts/statuses/odd").await.refusal(), (409, "STATUS_IN_USE"));
}
