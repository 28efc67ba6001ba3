//! Reading the path.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

/// The last segment of the path, decoded: the id or key that a call is about.
///
/// One that does not decode to UTF-8 is taken as it was written. Its percent sign is allowed in no id and in no key, so
/// it is answered as any other that is malformed.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let written = || parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        let written = written();
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(decoded.map_or(written, |Path(decoded)| decoded)))
    }
}
