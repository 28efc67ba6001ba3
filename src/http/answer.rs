//! Successful answers of REST, with the headers that they have in common.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    call,
    domain::{Alert, ChangedAlert, Idempotent},
    error::Error,
};

/// Keeps caches from answers: a cache doesn't know which keys may read one.
const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
/// Keeps browsers from guessing another type than the stated one.
pub const NO_SNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// Answers `body` as JSON.
///
/// # Errors
/// When it does not serialise, which is a bug.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Error> {
    let body = serde_json::to_vec(body).map_err(Error::internal)?;
    Ok(json_bytes(status, body))
}

/// Answers `body`, which is JSON already.
pub fn json_bytes(status: StatusCode, body: impl Into<Body>) -> Response {
    const JSON: (HeaderName, HeaderValue) =
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [JSON, NO_STORE, NO_SNIFF], body.into()).into_response()
}

/// Answers a view of an alert, with the tag of its version.
///
/// # Errors
/// When it does not serialise, which is a bug.
pub fn alert(status: StatusCode, etag: HeaderValue, view: &impl Serialize) -> Result<Response, Error> {
    let mut response = json(status, view)?;
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// Answers a change of an alert, with the tag of its new version.
///
/// # Errors
/// When the view does not serialise, which is a bug.
pub fn changed_alert<V: Serialize>(
    status: StatusCode,
    changed: Idempotent<ChangedAlert>,
    view: impl FnOnce(ChangedAlert) -> V,
) -> Result<Response, Error> {
    let etag = etag(&changed.value.alert);
    let mut response = alert(status, etag, &view(changed.value))?;
    mark_replayed(&mut response, changed.is_replayed);
    Ok(response)
}

/// Answers any other change.
///
/// # Errors
/// When the view does not serialise, which is a bug.
pub fn changed<T, V: Serialize>(
    status: StatusCode,
    changed: Idempotent<T>,
    view: impl FnOnce(T) -> V,
) -> Result<Response, Error> {
    let mut response = json(status, &view(changed.value))?;
    mark_replayed(&mut response, changed.is_replayed);
    Ok(response)
}

/// Gives the tag of an alert's version.
pub fn etag(alert: &Alert) -> HeaderValue {
    // Digits and quotes are valid in a header.
    HeaderValue::try_from(format!("\"{}\"", alert.version)).unwrap_or(HeaderValue::from_static("*"))
}

/// Marks the answer to a repeated change.
fn mark_replayed(response: &mut Response, is_replayed: bool) {
    if is_replayed {
        response.headers_mut().insert(call::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
}
