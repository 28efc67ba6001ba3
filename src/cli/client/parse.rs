//! Parsers of argument values: the contract's enum numbers, times, JSON, and `-` for standard input.

use std::io::{self, Read};

use anyhow::Context;
use serde_json::{Map, Value};

use crate::{
    client::Timestamp,
    domain::{Disposition, EntityType, Invalid, Severity, StatusClass},
};

/// The most bytes that are read from standard input: no request holds more.
const MAX_INPUT: u64 = 1024 * 1024;

/// Parses a severity into its number.
pub fn severity(raw: &str) -> Result<i32, Invalid> {
    Severity::parse(raw).map(|severity| severity.code().into())
}

/// Parses a status class into its number.
pub fn status_class(raw: &str) -> Result<i32, Invalid> {
    StatusClass::parse(raw).map(|class| class.code().into())
}

/// Parses an entity type into its number.
pub fn entity_type(raw: &str) -> Result<i32, Invalid> {
    EntityType::parse(raw).map(|kind| kind.code().into())
}

/// Parses a disposition into its number.
pub fn disposition(raw: &str) -> Result<i32, Invalid> {
    Disposition::parse(raw).map(|disposition| disposition.code().into())
}

/// Parses an instant in RFC 3339.
pub fn instant(raw: &str) -> Result<Timestamp, String> {
    let at = chrono::DateTime::parse_from_rfc3339(raw)
        .map_err(|_| "must be a time in RFC 3339, such as 2026-01-15T08:22:37Z".to_owned())?;
    // Subsecond nanoseconds are below 2 × 10^9, which an i32 holds.
    Ok(Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos().cast_signed() })
}

/// Parses a JSON object.
pub fn object(raw: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(raw).map_err(|error| format!("must be a JSON object: {error}"))
}

/// Returns the text itself; for `-`, reads standard input without its final line feeds.
///
/// # Errors
/// When standard input can't be read, is no UTF-8 or is longer than any request.
pub fn text_or_input(raw: String) -> anyhow::Result<String> {
    if raw != "-" {
        return Ok(raw);
    }
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_INPUT + 1).read_to_string(&mut text);
    let read = read.context("can't read standard input")?;
    anyhow::ensure!(read as u64 <= MAX_INPUT, "standard input holds more than {MAX_INPUT} bytes");
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}
