//! The extractor of the variable segment of a path.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

/// The variable segment of the path, decoded: the id or key of a resource.
///
/// A segment that does not decode to UTF-8 stays encoded. No id and no key may hold its percent sign, so it is refused as
/// any other malformed one.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // A segment that does not decode holds a percent sign, and no fixed segment of our paths does.
        let mut segments = parts.uri.path().rsplit('/');
        let written = segments.find(|segment| segment.contains('%')).unwrap_or_default().to_owned();
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(decoded.map_or(written, |Path(decoded)| decoded)))
    }
}
