//! Error answers of REST: the service's error as a status, headers and JSON.

use std::any::Any;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::answer;
use crate::{
    call,
    domain::invalid::quoted,
    error::{Error, Reason},
};

/// An error as a response.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// What every failed call answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorView {
    /// What went wrong, for people.
    error: String,
    error_detail: ErrorDetail,
}

/// What went wrong, for programs.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// The stable reason; more of them may come.
    #[schema(example = "GEN_VALIDATION_ERROR")]
    code: &'static str,
    /// The same text as `error`.
    message: String,
    /// What the reason is about. Where fields are at fault, `fields` lists each of them with its `field` and `message`;
    /// where the log knows more, `request_id` is what to look for.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        error.log();
        call::record_failure(error.reason());
        let body = ErrorView {
            error: error.message().to_owned(),
            error_detail: ErrorDetail {
                code: error.reason().as_str(),
                message: error.message().to_owned(),
                details: details(&error),
            },
        };
        // Text and JSON values always serialise.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = answer::json_bytes(status(error.reason()), body);
        if let Some(after) = error.retry_after() {
            let seconds = HeaderValue::from(after.as_secs());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn details(error: &Error) -> Map<String, Value> {
    let mut details: Map<_, _> =
        error.details().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let fields = error.field_violations();
    if !fields.is_empty() {
        let fields = fields
            .iter()
            .map(|violation| json!({ "field": violation.field, "message": violation.rule.to_string() }));
        details.insert("fields".to_owned(), fields.collect());
    }
    if matches!(error.reason(), Reason::Internal | Reason::Unavailable) {
        details.insert("request_id".to_owned(), call::trace_id().as_ref().into());
    }
    details
}

/// Returns the status code of a reason, as the contract's table says.
const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::MalformedRequest
        | Reason::ValidationError
        | Reason::InvalidEntityId
        | Reason::UnknownStatus
        | Reason::InvalidPageToken => StatusCode::BAD_REQUEST,
        Reason::MissingApiKey | Reason::InvalidApiKey | Reason::ExpiredApiKey => StatusCode::UNAUTHORIZED,
        Reason::InsufficientPermissions => StatusCode::FORBIDDEN,
        Reason::AlertNotFound | Reason::StatusNotFound | Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::StatusDuplicateKey
        | Reason::StatusInUse
        | Reason::StatusBuiltin
        | Reason::DispositionRequired
        | Reason::DedupKeyInUse
        | Reason::IdempotencyKeyReused => StatusCode::CONFLICT,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::VersionConflict => StatusCode::PRECONDITION_FAILED,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Reason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Answers a call that has panicked; the log has the panic.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem(Error::internal("a call panicked")).into_response()
}

/// Answers a call that is refused before routing.
pub fn refused(error: Error) -> Response {
    Problem(error).into_response()
}

/// Answers a call to an unknown path.
pub fn not_found(path: &str) -> Response {
    let message = format!("there is nothing at {}", quoted(path));
    Problem(Error::new(Reason::NotFound, message)).into_response()
}

/// Answers a method that the path does not take; the router adds `Allow`.
pub fn method_not_allowed(method: &str, path: &str) -> Response {
    let message = format!("{} does not take the method {}", quoted(path), quoted(method));
    Problem(Error::new(Reason::MethodNotAllowed, message)).into_response()
}
