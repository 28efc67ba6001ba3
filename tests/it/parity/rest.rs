//! The scenario's calls over REST.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::face::{Call, Face, failure, told};
use crate::support::TestApp;

/// Each name in the scenario and on the other face that is another here: of filters, and of what comes in a header.
pub const PARAMETERS: [(&str, &str); 7] = [
    ("statuses", "status"),
    ("status_classes", "status_class"),
    ("types", "type"),
    ("severities", "severity"),
    ("dispositions", "disposition"),
    ("entity_ids", "entity_id"),
    ("request_id", "Idempotency-Key"),
];

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(app: &TestApp) -> Self {
        Self { http: reqwest::Client::new(), url: app.url("") }
    }

    pub async fn call(&self, face: &Face, call: Call) -> Value {
        let (call, conditions) = call.without_conditions();
        let mut request = self.request(call);
        if let Some(version) = conditions.version {
            request = request.header("if-match", format!("\"{version}\""));
        }
        if let Some(request_id) = conditions.request_id {
            request = request.header("idempotency-key", request_id);
        }
        if let Some(key) = &face.key {
            request = request.bearer_auth(key);
        }
        if let Some(actor) = &face.actor {
            request = request.header("x-redflag-actor", actor);
        }
        let response = request.send().await.unwrap();
        let failed = !response.status().is_success();
        let is_replayed = response.headers().get("idempotency-replayed").is_some_and(|value| value == "true");
        let body: Value = response.json().await.unwrap();
        told(if failed { problem(&body["error_detail"]) } else { body }, is_replayed)
    }

    fn request(&self, call: Call) -> RequestBuilder {
        let request = |method, path: String| self.http.request(method, format!("{}{path}", self.url));
        match call {
            Call::Flag(entity, body) => request(Method::POST, format!("/alerts/flag/{entity}")).json(&body),
            Call::Update(alert, body) => request(Method::PUT, format!("/alerts/flag/{alert}")).json(&body),
            Call::Get(alert) => request(Method::GET, format!("/alerts/{alert}")),
            Call::List(filters) => request(Method::GET, "/alerts".to_owned()).query(&parameters(&filters)),
            Call::Escalate(alert, body) => {
                request(Method::POST, format!("/alerts/{alert}/escalate")).json(&body)
            }
            Call::AlertEvents(alert, page) => {
                request(Method::GET, format!("/alerts/{alert}/events")).query(&parameters(&page))
            }
            Call::Events(page) => request(Method::GET, "/events".to_owned()).query(&parameters(&page)),
            Call::Head => request(Method::GET, "/audit/head".to_owned()),
            Call::CreateStatus(body) => request(Method::POST, "/alerts/statuses".to_owned()).json(&body),
            Call::ListStatuses(page) => {
                request(Method::GET, "/alerts/statuses".to_owned()).query(&parameters(&page))
            }
            Call::UpdateStatus(key, body) => {
                request(Method::PUT, format!("/alerts/statuses/{key}")).json(&body)
            }
            Call::DeleteStatus(key) => request(Method::DELETE, format!("/alerts/statuses/{key}")),
            Call::Malformed => request(Method::POST, "/alerts/flag/bln_1".to_owned())
                .header("content-type", "application/json")
                .body(vec![0xff; 40]),
            Call::On(..) => unreachable!("conditions hold a call, and no further conditions"),
        }
    }
}

/// Filters as query parameters; the values of a list are repeated.
fn parameters(filters: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let filters = filters.as_object().unwrap().iter();
    filters
        .flat_map(|(name, value)| {
            let parameter = PARAMETERS.iter().find(|(filter, _)| filter == name);
            let parameter = parameter.map_or(name.as_str(), |(_, parameter)| parameter).to_owned();
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            values.into_iter().map(move |value| (parameter.clone(), text(&value)))
        })
        .collect()
}

fn problem(detail: &Value) -> Value {
    let mut details = detail["details"].as_object().unwrap().clone();
    let fields = details.remove("fields").unwrap_or_default();
    let fields =
        fields.as_array().into_iter().flatten().map(|told| told["field"].as_str().unwrap().to_owned());
    let fields = fields.collect();
    // Only a text has lines and columns.
    details.retain(|name, _| name != "line" && name != "column");
    let details = details.into_iter().map(|(name, value)| (name, as_text(&value))).collect();
    failure(detail["code"].as_str().unwrap(), fields, &details)
}

/// A detail as the other face tells it.
fn as_text(detail: &Value) -> String {
    match detail {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
