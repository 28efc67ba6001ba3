//! Reading the path.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

/// The one variable segment of the path, decoded: the id or key that a call is about.
///
/// One that does not decode to UTF-8 is taken as it was written. Its percent sign is allowed in no id and in no key, so
/// it is answered as any other that is malformed.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // What does not decode is written with a percent sign, which no other segment of our paths has.
        let mut segments = parts.uri.path().rsplit('/');
        let written = segments.find(|segment| segment.contains('%')).unwrap_or_default().to_owned();
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(decoded.map_or(written, |Path(decoded)| decoded)))
    }
}
