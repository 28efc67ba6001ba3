//! Error answers of gRPC: a code, a message, and `google.rpc` details for programs.

use std::collections::HashMap;

use axum::response::Response;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    call,
    error::{Error, Reason},
};

/// The domain of our reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "redflag.dev";

/// Turns an error into a status, and logs it.
pub fn status(error: &Error) -> Status {
    error.log();
    call::record_failure(error.reason());
    let mut details = ErrorDetails::with_error_info(error.reason().as_str(), DOMAIN, metadata(error));
    if !error.field_violations().is_empty() {
        let violations = error.field_violations().iter();
        details.set_bad_request(
            violations.map(|v| FieldViolation::new(&v.field, v.rule.to_string())).collect::<Vec<_>>(),
        );
    }
    if let Some(after) = error.retry_after() {
        details.set_retry_info(Some(after));
    }
    Status::with_error_details(code(error.reason()), error.message(), details)
}

/// Returns the code of a reason, as the contract's table says.
const fn code(reason: Reason) -> Code {
    match reason {
        Reason::MalformedRequest
        | Reason::ValidationError
        | Reason::InvalidEntityId
        | Reason::UnknownStatus
        | Reason::InvalidPageToken
        | Reason::PayloadTooLarge
        | Reason::UnsupportedMediaType => Code::InvalidArgument,
        Reason::MissingApiKey | Reason::InvalidApiKey | Reason::ExpiredApiKey => Code::Unauthenticated,
        Reason::InsufficientPermissions => Code::PermissionDenied,
        Reason::AlertNotFound | Reason::StatusNotFound | Reason::NotFound => Code::NotFound,
        Reason::StatusDuplicateKey => Code::AlreadyExists,
        Reason::StatusInUse
        | Reason::StatusBuiltin
        | Reason::DispositionRequired
        | Reason::DedupKeyInUse
        | Reason::IdempotencyKeyReused => Code::FailedPrecondition,
        Reason::RateLimited => Code::ResourceExhausted,
        Reason::VersionConflict => Code::Aborted,
        Reason::MethodNotAllowed => Code::Unimplemented,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Unavailable => Code::Unavailable,
        Reason::Internal => Code::Internal,
    }
}

fn metadata(error: &Error) -> HashMap<String, String> {
    let details = error.details().iter().map(|(name, value)| ((*name).to_owned(), text(value)));
    let request_id = ("request_id".to_owned(), call::trace_id().to_string());
    let traced = matches!(error.reason(), Reason::Internal | Reason::Unavailable);
    details.chain(traced.then_some(request_id)).collect()
}

/// Writes a detail as text; lists are joined by commas.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Gives errors of the codec their reason. They come without details, and mean a malformed or too large message.
pub fn name_codec_errors(response: Response) -> Response {
    let failed = Status::from_header_map(response.headers());
    // UNIMPLEMENTED with a message is about the call's compression, not its method.
    if failed.as_ref().is_some_and(|it| it.code() == Code::Unimplemented && it.message().is_empty()) {
        return super::unimplemented().map(axum::body::Body::new);
    }
    match failed.and_then(|failed| codec_error(&failed)) {
        Some(error) => status(&error).into_http(),
        None => response,
    }
}

fn codec_error(failed: &Status) -> Option<Error> {
    if !failed.details().is_empty() {
        return None;
    }
    match failed.code() {
        Code::OutOfRange => Some(Error::new(Reason::PayloadTooLarge, failed.message())),
        Code::Internal | Code::Unknown => Some(Error::new(Reason::MalformedRequest, failed.message())),
        _ => None,
    }
}
