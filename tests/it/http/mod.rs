//! The REST face, through real connections.

/// Checks an answer against a snapshot, in which fields that differ from run to run are replaced by their names.
macro_rules! assert_answer {
    ($answer:expr, @$picture:literal) => {{
        let mut settings = insta::Settings::clone_current();
        for field in $crate::http::DIFFERING {
            settings.add_dynamic_redaction(&format!(".**.{field}"), move |value, _| {
                if value.is_nil() { value } else { format!("[{field}]").into() }
            });
        }
        settings.add_redaction(".body.allowed_colours", "[the documented colours]");
        settings.bind(|| insta::assert_json_snapshot!($answer, @$picture));
    }};
}

mod alerts;
mod availability;
mod conditional_changes;
mod decisions;
mod deduplication;
mod documented;
mod documented_rules;
mod errors;
mod failures;
mod health_and_docs;
mod history;
mod idempotency;
mod lists;
mod statuses;

use redflag::app::App;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    app::{KEY, config},
};

/// The fields that differ from run to run.
const DIFFERING: [&str; 12] = [
    "anomaly_id",
    "organization_id",
    "created_at",
    "updated_at",
    "closed_at",
    "last_occurred_at",
    "previous_anomaly_id",
    "event_id",
    "key_id",
    "request_id",
    "previous_hash",
    "hash",
];

/// The answer of a call.
#[derive(Debug, Serialize)]
struct Answer {
    status: u16,
    #[serde(skip)]
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// Sends a request and reads its JSON answer; a failure must not reveal internals.
    async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.unwrap();
        assert_eq!(headers["content-type"], "application/json", "{body}");
        if status >= 400 {
            assert_discreet(&format!("{headers:?} {body}"));
        }
        Self { status, headers, body: serde_json::from_str(&body).unwrap() }
    }

    /// A header as text.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Returns the status and the reason of a failure, whose message must be in both fields.
    fn refusal(&self) -> (u16, &str) {
        let detail = &self.body["error_detail"];
        assert!(self.body["error"].is_string() && detail["details"].is_object(), "{self:?}");
        assert_eq!(self.body["error"], detail["message"]);
        (self.status, detail["code"].as_str().unwrap())
    }

    /// Returns the message of a failure.
    fn text(&self) -> &str {
        self.body["error"].as_str().unwrap()
    }

    /// The fields at fault.
    fn fields(&self) -> Vec<&str> {
        let fields = self.body["error_detail"]["details"]["fields"].as_array();
        fields.into_iter().flatten().map(|violation| violation["field"].as_str().unwrap()).collect()
    }
}

/// Checks that a failure holds no SQL, path, driver or key.
fn assert_discreet(message: &str) {
    for inside in ["SELECT ", "INSERT ", "UPDATE ", "sqlx", "sqlite", "postgres", "/tmp", ".rs", ".db", KEY] {
        assert!(!message.contains(inside), "{inside:?} in {message}");
    }
}

async fn get(app: &TestApp, path: &str) -> Answer {
    Answer::to(app.rest(Method::GET, path)).await
}

async fn post(app: &TestApp, path: &str, body: Value) -> Answer {
    Answer::to(app.rest(Method::POST, path).json(&body)).await
}

async fn put(app: &TestApp, path: &str, body: Value) -> Answer {
    Answer::to(app.rest(Method::PUT, path).json(&body)).await
}

async fn delete(app: &TestApp, path: &str) -> Answer {
    Answer::to(app.rest(Method::DELETE, path)).await
}

/// Flags an entity with the fields of `more`, and returns the alert.
async fn flag(app: &TestApp, entity_id: &str, more: Value) -> Value {
    let mut body = json!({ "description": "Something is off." });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let answer = post(app, &format!("/alerts/flag/{entity_id}"), body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let mut alert = answer.body;
    assert_eq!(alert.as_object_mut().unwrap().remove("deduplicated"), Some(false.into()));
    alert
}

/// Starts another instance on the same PostgreSQL database, and returns its address. An SQLite file has only one server.
async fn another_instance(app: &TestApp) -> String {
    if app.database().kind() == crate::support::DatabaseKind::Sqlite {
        return app.url("");
    }
    let other = App::start(&config(app.database().url(), |_| {})).await.unwrap();
    let url = format!("http://{}", other.address());
    tokio::spawn(other.run(std::future::pending()));
    url
}

/// The path of an alert's changes.
fn change_path(alert: &Value) -> String {
    format!("/alerts/flag/{}", id(alert))
}

/// The path of an alert.
fn path(alert: &Value) -> String {
    format!("/alerts/{}", id(alert))
}

fn id(alert: &Value) -> &str {
    alert["anomaly_id"].as_str().unwrap()
}

/// The events at `path`, on one page.
async fn events(app: &TestApp, path: &str) -> Vec<Value> {
    let page = get(app, &format!("{path}?page_size=1000")).await;
    assert_eq!((page.status, &page.body["next_page_token"]), (200, &json!("")), "{page:?}");
    page.body["data"].as_array().unwrap().clone()
}

/// Lists the types of events.
fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Adds a status with that name, and returns it.
async fn add_status(app: &TestApp, name: &str) -> Value {
    let answer = post(app, "/alerts/statuses", json!({ "name": name, "colour": "#3B82F6" })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}
