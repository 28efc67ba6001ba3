//! The headers of conditional changes: `Idempotency-Key` against repeats, `If-Match` against concurrent changes.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};

use super::problem::Problem;
use crate::{call, error::Error, service::ChangeOptions};

/// The conditions of a change, from its headers.
#[derive(Debug, Default)]
pub struct Conditions {
    idempotency_key: Option<String>,
    expected_versions: Option<Vec<i64>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            idempotency_key: text(&parts.headers, &call::IDEMPOTENCY_KEY),
            expected_versions: text(&parts.headers, &header::IF_MATCH).and_then(|tags| versions(&tags)),
        })
    }
}

impl Conditions {
    /// Returns the idempotency key.
    pub fn into_idempotency_key(self) -> Option<String> {
        self.idempotency_key
    }

    /// Drops `If-Match`, for a call that creates something: it has no version yet.
    pub fn without_versions(self) -> Self {
        Self { expected_versions: None, ..self }
    }

    /// The options of a change of an alert for the reason `note`.
    pub fn with_note(self, note: Option<String>) -> ChangeOptions {
        let Self { idempotency_key, expected_versions } = self;
        ChangeOptions { note: note.unwrap_or_default(), idempotency_key, expected_versions }
    }
}

/// Joins all values of a header; bytes that are not UTF-8 become U+FFFD, which later checks refuse.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Reads the versions in the tags of an `If-Match` (RFC 9110 §13.1.1); `None` for `*`, which any alert matches. Foreign and
/// weak tags match no version.
fn versions(tags: &str) -> Option<Vec<i64>> {
    let tags = tags.split(',').map(str::trim);
    if tags.clone().any(|tag| tag == "*") {
        return None;
    }
    // Tags are compared byte by byte: `"03"` is not the tag of version 3.
    let is_ours = |tag: &str, version: &i64| *version > 0 && tag == format!("\"{version}\"");
    let version = |tag: &str| {
        let version = tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        version.filter(|version| is_ours(tag, version))
    };
    Some(tags.filter_map(version).collect())
}

/// Makes the failure of a change, in which a field that came in a header has the header's name.
pub fn problem(error: Error) -> Problem {
    Problem(error.rename_fields(0, |field| (field == "request_id").then_some("Idempotency-Key")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_versions() {
        assert_eq!(versions("*"), None);
        assert_eq!(versions("\"3\""), Some(vec![3]));
        assert_eq!(versions("\"3\", \"12\""), Some(vec![3, 12]));
        for other in
            ["3", "W/\"3\"", "\"abc\"", "\"0\"", "\"-1\"", "\"+3\"", "\"03\"", "", "\"99999999999999999999\""]
        {
            assert_eq!(versions(other), Some(vec![]), "{other}");
        }
    }
}
