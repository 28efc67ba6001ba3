//! The extractor of JSON bodies, with a precise error for every malformed one.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{metadata::REPEATED_NAME, problem::Problem};
use crate::{
    call::MAX_REQUEST_BYTES,
    domain::{Invalid, invalid::quoted},
    error::{Error, Reason},
};

/// A JSON body, parsed into `T`.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers)?;
        check_content_length(&parts.headers)?;
        let body = read(body).await?;
        Ok(Self(parse(&body)?))
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let refused = |given: &str| {
        let message = format!("the content type must be application/json, is {given}");
        Err(Error::new(Reason::UnsupportedMediaType, message))
    };
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return refused("not stated");
    };
    let given = String::from_utf8_lossy(given.as_bytes());
    if is_json(&given) { Ok(()) } else { refused(&quoted(&given)) }
}

/// Returns true for a JSON media type: `application/json` or `application/…+json` (RFC 6839), with any parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// Refuses a body by its declared length, before any of it is read.
fn check_content_length(headers: &HeaderMap) -> Result<(), Error> {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > MAX_REQUEST_BYTES as u64 => Err(too_large(&format!("{length} bytes"))),
        _ => Ok(()),
    }
}

fn too_large(given: &str) -> Error {
    let message = format!("the body must be at most {MAX_REQUEST_BYTES} bytes, is {given}");
    Error::new(Reason::PayloadTooLarge, message)
}

async fn read(body: Body) -> Result<Bytes, Error> {
    match Limited::new(body, MAX_REQUEST_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large("more")),
        Err(_) => Err(malformed("the body did not arrive whole")),
    }
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(Reason::MalformedRequest, message)
}

/// Parses `body` as a JSON object. Unknown fields are ignored, a field given twice is refused.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => return Err(malformed("the body is empty, it must be a JSON object")),
        Some(b'{') => {}
        Some(_) => return Err(not_an_object(body)),
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, &error.into_inner())
    })?;
    json.end().map_err(|error| refused(".", &error))?;
    Ok(parsed)
}

fn not_an_object(body: &[u8]) -> Error {
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => malformed("the body must be a JSON object, is another JSON value"),
        Err(error) => refused(".", &error),
    }
}

/// Makes the error for a refused body; it names the field at `path` when the value of a field is at fault.
fn refused(path: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let message = without_place(error);
    let refused = match field_at_fault(path, error, &message) {
        Some((field, rule)) => {
            let rule = Invalid::new(format!("{rule} (line {line}, column {column})"));
            Error::violation(Reason::MalformedRequest, field, rule)
        }
        None => malformed(format!("the body is no JSON: {message} at line {line}, column {column}")),
    };
    refused.with("line", line).with("column", column)
}

/// Returns the parser's message without its position.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

/// Returns the field with a wrong value, and the rule; `None` when the body is no JSON at all.
fn field_at_fault(path: &str, error: &serde_json::Error, message: &str) -> Option<(String, String)> {
    if !error.is_data() {
        return None;
    }
    if let Some(name) = message.strip_prefix("duplicate field `") {
        return Some((name.trim_end_matches('`').to_owned(), "must be given once".to_owned()));
    }
    let field = if path == "." { "body".to_owned() } else { shortened(path) };
    if let Some(name) = message.strip_prefix(REPEATED_NAME) {
        return Some((field, format!("must hold each name once, has {name} again")));
    }
    Some((field, type_rule(message)))
}

/// Shortens a path, whose names the caller has chosen.
fn shortened(path: &str) -> String {
    /// The characters of a path that are repeated.
    const MAX_SHOWN: usize = 200;
    path.char_indices()
        .nth(MAX_SHOWN)
        .map_or_else(|| path.to_owned(), |(end, _)| format!("{}…", &path[..end]))
}

/// Rewrites a type error of the parser in the form of all rules: `must be a string, is integer 5`.
fn type_rule(message: &str) -> String {
    /// The characters of a refused value that are repeated.
    const MAX_SHOWN: usize = 80;
    let Some((given, expected)) =
        message.strip_prefix("invalid type: ").and_then(|types| types.rsplit_once(", expected "))
    else {
        return format!("is refused: {}", message.chars().take(MAX_SHOWN).collect::<String>());
    };
    let expected = match expected {
        "a map" => "an object",
        "a sequence" => "an array",
        other => other,
    };
    let mut shown: String = given.chars().filter(|c| *c != '`').take(MAX_SHOWN).collect();
    if shown.len() + 2 < given.len() {
        shown.push('…');
    }
    format!("must be {expected}, is {shown}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::http::metadata::MetadataBody;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Sample {
        title: Option<String>,
        people: Option<Vec<String>>,
        metadata: Option<MetadataBody>,
    }

    fn refusal(body: &str) -> String {
        let error = parse::<Sample>(body.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), Reason::MalformedRequest);
        error.message().to_owned()
    }

    #[test]
    fn wrong_types_name_the_field_the_rule_and_the_position() {
        assert_eq!(refusal("{\n \"title\": 5}"), "title must be a string, is integer 5 (line 2, column 11)");
        assert_eq!(
            refusal(r#"{"people": ["a", null]}"#),
            "people[1] must be a string, is null (line 1, column 21)"
        );
        assert_eq!(
            refusal(r#"{"metadata": []}"#),
            "metadata must be an object, is sequence (line 1, column 13)"
        );
        assert_eq!(
            refusal(r#"{"title": "a", "title": "b"}"#),
            "title must be given once (line 1, column 22)"
        );
    }

    #[test]
    fn a_name_given_twice_within_metadata_is_refused_at_any_depth() {
        assert_eq!(
            refusal(r#"{"metadata": {"amount": 1, "amount": 2}}"#),
            r#"metadata must hold each name once, has "amount" again (line 1, column 39)"#
        );
        let deep = refusal(r#"{"metadata": {"a": [0, {"b": 1, "\u0062": 1}]}}"#);
        assert!(deep.starts_with(r#"metadata.a[1] must hold each name once, has "b" again"#), "{deep}");
        let long = format!(r#"{{"metadata": {{"{}": {{"b": 1, "b": 1}}}}}}"#, "x".repeat(10_000));
        assert!(refusal(&long).len() < 400);
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let body = format!(r#"{{"people": "{}"}}"#, "x".repeat(100_000));
        assert!(refusal(&body).len() < 200);
    }

    #[test]
    fn malformed_json_is_refused_with_its_position() {
        assert_eq!(
            refusal("{\"title\": \"a\",\n}"),
            "the body is no JSON: trailing comma at line 2, column 1"
        );
        assert_eq!(refusal("{} x"), "the body is no JSON: trailing characters at line 1, column 4");
        assert_eq!(refusal(" "), "the body is empty, it must be a JSON object");
        assert_eq!(refusal("[1]"), "the body must be a JSON object, is another JSON value");
        let deep = format!("{{\"metadata\": {}", "{\"a\":".repeat(100_000));
        assert!(refusal(&deep).contains("recursion limit exceeded"));
    }

    #[test]
    fn unknown_fields_and_nulls_are_ignored() {
        assert!(parse::<Sample>(br#"{"other": {"a": [1]}, "title": null}"#).is_ok());
    }

    #[test]
    fn media_types() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["", "text/json", "application/jsonp", "application/x-www-form-urlencoded"] {
            assert!(!is_json(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in any::<Vec<u8>>(), text in "[\\[\\]{}\",:a-z0-9 ]{0,30}") {
            let _ = (parse::<Sample>(&body), parse::<Sample>(text.as_bytes()));
        }
    }
}
