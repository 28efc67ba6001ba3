//! Pages without a key: health, the OpenAPI document, and the page that shows it.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::Value;

use super::Answer;
use crate::support::{DatabaseKind, TestApp};

async fn open(app: &TestApp, path: &str) -> reqwest::Response {
    app.rest_without_key(Method::GET, path).send().await.unwrap()
}

#[tokio::test]
async fn health_answers_without_a_key() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let answer = Answer::to(app.rest_without_key(Method::GET, path)).await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &status.into()));
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for path in
        "/healthz /readyz /openapi.json /docs/ /alerts /alerts/statuses /alerts/ano_1 /alerts/ano_1/events /events \
         /audit/head".split(' ')
    {
        let (head, get) = (
            app.rest(Method::HEAD, path).send().await.unwrap(),
            app.rest(Method::GET, path).send().await.unwrap(),
        );
        assert_eq!(
            (head.status(), head.headers()["content-type"].clone()),
            (get.status(), get.headers()["content-type"].clone())
        );
        assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
    }
}

#[tokio::test]
async fn the_openapi_document_is_up_to_date() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let served = open(&app, "/openapi.json").await;
    assert_eq!(served.headers()["content-type"], "application/json");
    let checked_in = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let checked_in = std::fs::read_to_string(checked_in).unwrap();
    assert!(
        served.text().await.unwrap() == checked_in,
        "docs/openapi.json is out of date: run `make openapi`"
    );
}

#[tokio::test]
async fn the_openapi_document_is_consistent() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let document: Value = open(&app, "/openapi.json").await.json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    each_reference(&document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    });
    let mut ids = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = ["get", "put", "post", "delete"].into_iter().filter_map(|method| item.get(method));
        for operation in methods {
            check_operation(path, operation);
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "two operations of one id on {path}"
            );
        }
    }
    assert_eq!(ids.len(), 14);
}

/// Every operation of the document.
fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let items = document["paths"].as_object().unwrap().values();
    items.flat_map(|item| ["get", "put", "post", "delete"].into_iter().filter_map(|method| item.get(method)))
}

#[tokio::test]
async fn created_resources_are_linked_to_the_calls_that_take_them() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let document: Value = open(&app, "/openapi.json").await.json().await.unwrap();
    let takes = |call: &str, parameter: &str| {
        let called = operations(&document).find(|operation| operation["operationId"] == call);
        let mut parameters = called.unwrap()["parameters"].as_array().unwrap().iter();
        parameters.any(|taken| taken["in"] == "path" && taken["name"] == parameter)
    };
    for (path, statuses, id, linked) in [
        (
            "/alerts/flag/{id}",
            &["200", "201"][..],
            "$response.body#/anomaly_id",
            &["escalate_alert", "get_alert", "list_alert_events", "update_alert"][..],
        ),
        ("/alerts/statuses", &["201"], "$response.body#/key", &["delete_status", "update_status"]),
    ] {
        for status in statuses {
            let links = &document["paths"][path]["post"]["responses"][status]["links"];
            let links = links.as_object().unwrap();
            assert_eq!(links.keys().collect::<Vec<_>>(), linked, "{path} {status}");
            for (call, link) in links {
                assert_eq!(link["operationId"], *call);
                let parameters = link["parameters"].as_object().unwrap();
                assert!(parameters.iter().all(|(name, value)| *value == id && takes(call, name)), "{call}");
            }
        }
    }
}

fn each_reference(value: &Value, check: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                check(reference);
            }
            map.values().for_each(|value| each_reference(value, check));
        }
        Value::Array(list) => list.iter().for_each(|value| each_reference(value, check)),
        _ => {}
    }
}

fn check_operation(path: &str, operation: &Value) {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let named: Vec<_> = parameters
        .filter(|parameter| parameter["in"] == "path")
        .map(|parameter| {
            assert_eq!(parameter["required"], true);
            format!("{{{}}}", parameter["name"].as_str().unwrap())
        })
        .collect();
    let placeholders: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
    assert_eq!(named, placeholders, "{path}");
    for (status, response) in operation["responses"].as_object().unwrap() {
        assert!(status.parse::<u16>().is_ok() && !response["description"].as_str().unwrap().is_empty());
        assert!(response["content"]["application/json"]["schema"].is_object(), "{path} {status}");
    }
}

/// Collects the links of a page: its attributes `src` and `href`.
fn references(html: &str) -> Vec<String> {
    let after = |attribute: &str| {
        let opening = format!("{attribute}=\"");
        let values = html.split(&opening).skip(1);
        values.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    [after("src"), after("href")].concat()
}

#[tokio::test]
async fn the_page_shows_the_document_without_foreign_files() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let page = open(&app, "/docs").await;
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/docs/"));
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let html = page.text().await.unwrap();
    assert!(!html.contains("://"), "{html}");
    let references = references(&html);
    assert!(references.len() >= 3, "{html}");
    for reference in references {
        let url = app.url("/docs/").parse::<reqwest::Url>().unwrap().join(&reference).unwrap();
        assert!(url.as_str().starts_with(&app.url("/docs/")), "{url}");
        let part = open(&app, url.path()).await;
        assert_eq!(part.status(), 200, "{url}");
        let kind = part.headers()["content-type"].to_str().unwrap().to_owned();
        let expected = match reference.rsplit_once('.') {
            Some((_, "js")) => "javascript",
            Some((_, "css")) => "text/css",
            _ => "image/",
        };
        assert!(kind.contains(expected), "{url} is {kind}");
    }
}

#[tokio::test]
async fn the_page_asks_only_this_server() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let script = open(&app, "/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(script.contains("\"/openapi.json\"") && !script.contains("://"), "{script}");
    assert!(script.contains("\"validatorUrl\": \"none\""), "{script}");
}

#[tokio::test]
async fn answers_forbid_caching_and_sniffing() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for (path, status) in [("/alerts", 200), ("/alerts/ano_1", 404), ("/nowhere", 404), ("/readyz", 200)] {
        let with_bearer = app.rest(Method::GET, path);
        let with_own_header =
            app.rest_without_key(Method::GET, path).header("x-blnk-key", crate::support::app::KEY);
        for request in [with_bearer, with_own_header] {
            let answer = request.send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["cache-control"]),
                (status, &"no-store".parse().unwrap())
            );
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        }
    }
    assert_eq!(open(&app, "/alerts").await.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn the_page_loads_only_its_own_files_and_forbids_framing() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for path in ["/docs/", "/docs/swagger-initializer.js"] {
        let answer = open(&app, path).await;
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}
