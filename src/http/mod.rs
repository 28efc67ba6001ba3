//! The REST face: an adapter between the service and the documented paths, schemas and errors.

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

/// The settings of the REST face.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The longest time of a call, from its first header to its answer.
    pub request_timeout: Duration,
    /// Serve a page at `/docs`.
    pub docs: bool,
}

/// Makes the router of REST: alerts, statuses and history at the root and under `/cloud`, health, the OpenAPI document and
/// its page.
///
/// The caller adds a fallback for unknown paths: see [`not_found`].
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

/// Routes the calls that need a key.
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

/// Routes the health checks, which need no key.
fn health_calls() -> OpenApiRouter<Health> {
    OpenApiRouter::default().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// Makes the OpenAPI document from the routes and types that serve calls.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(calls().into_openapi());
    document.merge(health_calls().into_openapi());
    openapi::complete(document)
}

/// Writes the OpenAPI document as text.
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

    /// Collects every `$ref` within `value`.
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
    fn every_reference_in_the_document_resolves() {
        let document: Value = serde_json::from_str(&openapi_json()).unwrap();
        let references = references(&document);
        assert!(references.contains(&"#/components/schemas/Alert"));
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
