//! The REST face, through real connections.

/// Checks an answer against its picture, in which whatever differs from run to run is named and not told.
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

mod answers;
mod answers_more;
mod availability;
mod conditions;
mod decisions;
mod documented;
mod documented_rules;
mod documents;
mod errors;
mod history;
mod lists;
mod repeats;
mod retries;

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

/// What a call answered.
#[derive(Debug, Serialize)]
struct Answer {
    status: u16,
    #[serde(skip)]
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// Sends a request and reads its answer, which is JSON; a failure tells nothing of the inside.
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

    /// The status and the stable reason of a failure, whose text stands in both places.
    fn refusal(&self) -> (u16, &str) {
        let detail = &self.body["error_detail"];
        assert!(self.body["error"].is_string() && detail["details"].is_object(), "{self:?}");
        assert_eq!(self.body["error"], detail["message"]);
        (self.status, detail["code"].as_str().unwrap())
    }

    /// What went wrong, for people.
    fn text(&self) -> &str {
        self.body["error"].as_str().unwrap()
    }

    /// The fields at fault.
    fn fields(&self) -> Vec<&str> {
        let fields = self.body["error_detail"]["details"]["fields"].as_array();
        fields.into_iter().flatten().map(|told| told["field"].as_str().unwrap()).collect()
    }
}

/// No SQL, no path, no driver and no key in what callers read.
fn assert_discreet(told: &str) {
    for inside in ["SELECT ", "INSERT ", "UPDATE ", "sqlx", "sqlite", "postgres", "/tmp", ".rs", ".db", KEY] {
        assert!(!told.contains(inside), "{inside:?} in {told}");
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

/// Flags an entity, with what `more` says; the alert.
async fn flag(app: &TestApp, entity_id: &str, more: Value) -> Value {
    let mut body = json!({ "description": "Something is off." });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let answer = post(app, &format!("/alerts/flag/{entity_id}"), body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let mut alert = answer.body;
    assert_eq!(alert.as_object_mut().unwrap().remove("deduplicated"), Some(false.into()));
    alert
}

/// Starts another instance on the same database; where it listens. An SQLite file has one server: that one.
async fn another_instance(app: &TestApp) -> String {
    if app.database().kind() == crate::support::DatabaseKind::Sqlite {
        return app.url("");
    }
    let other = App::start(config(app.database().url(), |_| {})).await.unwrap();
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

/// What events tell.
fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Adds a status of that name; the status.
async fn add_status(app: &TestApp, name: &str) -> Value {
    let answer = post(app, "/alerts/statuses", json!({ "name": name, "colour": "#3B82F6" })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}
