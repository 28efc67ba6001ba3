//! The REST face: an adapter over the service that speaks the documented paths, words and errors.

mod admission;
mod alert_list;
mod alerts;
mod answer;
mod bodies;
mod conditions;
mod docs;
mod event_views;
mod events;
pub mod health;
mod json;
mod metadata;
mod openapi;
mod path;
mod problem;
mod query_string;
mod schema;
mod statuses;
mod views;

use std::time::Duration;

use axum::{Router, extract::OriginalUri, http::Method, middleware, response::Response};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    admission::Admission,
    health::{Health, Readiness},
    openapi::Document,
};
use crate::{auth::Authenticator, service::Service};

pub use problem::{not_found, panicked, refused};

/// What the REST face can be told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a call may take, from its first header to its answer.
    pub request_timeout: Duration,
    /// Serve a page at `/docs`.
    pub docs: bool,
}

/// Everything REST: alerts, statuses and history at the root and under `/cloud`, health, the OpenAPI document and its page.
///
/// It has no fallback for paths where there is nothing: see [`not_found`].
pub fn router(
    service: Service,
    authenticator: Authenticator,
    settings: Settings,
    readiness: Readiness,
) -> Router {
    let timeout = settings.request_timeout;
    let admission = Admission { authenticator, timeout };
    let calls = Router::from(calls())
        .route_layer(middleware::from_fn_with_state(admission, admission::admit))
        .with_state(service.clone());
    let health = Health::new(readiness, service, timeout);
    let pages = if settings.docs { docs::pages() } else { Router::new() };
    Router::new()
        .merge(calls.clone())
        .nest("/cloud", calls)
        .merge(Router::from(health_calls()).with_state(health))
        .merge(docs::document(openapi_json()))
        .merge(pages)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The calls that need a key.
fn calls() -> OpenApiRouter<Service> {
    OpenApiRouter::default()
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::get_alert))
        .routes(routes!(alerts::flag_entity, alerts::update_alert))
        .routes(routes!(alerts::escalate_alert))
        .routes(routes!(events::list_alert_events))
        .routes(routes!(events::list_events))
        .routes(routes!(events::get_audit_head))
        .routes(routes!(statuses::list_statuses, statuses::create_status))
        .routes(routes!(statuses::update_status, statuses::delete_status))
}

/// The calls that need none, beside `/openapi.json` and `/docs`.
fn health_calls() -> OpenApiRouter<Health> {
    OpenApiRouter::default().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// The OpenAPI document, from the same routes and types that serve.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(calls().into_openapi());
    document.merge(health_calls().into_openapi());
    openapi::complete(document)
}

/// The OpenAPI document as text.
///
/// # Panics
/// Never: the document holds nothing that JSON can't carry.
pub fn openapi_json() -> String {
    // The document holds text, numbers and maps with text keys only, which always serialise.
    let json = openapi().to_pretty_json().expect("the document serialises");
    json + "\n"
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    problem::method_not_allowed(method.as_str(), uri.path())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Every `$ref` within `value`.
    fn references(value: &Value) -> Vec<&str> {
        match value {
            Value::Object(map) => {
                let own = map.get("$ref").and_then(Value::as_str);
                own.into_iter().chain(map.values().flat_map(references)).collect()
            }
            Value::Array(values) => values.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_document_holds_what_it_refers_to() {
        let document: Value = serde_json::from_str(&openapi_json()).unwrap();
        let references = references(&document);
        assert!(references.contains(&"#/components/schemas/Alert"));
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
