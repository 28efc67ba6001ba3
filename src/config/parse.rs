//! Reading values of settings.

use std::time::Duration;

use http::HeaderValue;

/// Checks the form `HOST:PORT`. The host is looked up later, on binding.
///
/// # Errors
/// When it has another form.
pub fn parse_listen(raw: &str) -> Result<String, &'static str> {
    let is_address =
        raw.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_address { Ok(raw.to_owned()) } else { Err("must be HOST:PORT with a port of 0 to 65535") }
}

/// Parses a duration longer than 0.
///
/// # Errors
/// When it is no duration, or 0.
pub fn parse_span(raw: &str) -> Result<Duration, String> {
    match humantime::parse_duration(raw) {
        Ok(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a web origin, or `*` for any.
///
/// # Errors
/// When it is neither.
pub fn parse_origin(raw: &str) -> Result<HeaderValue, String> {
    let host = raw.strip_prefix("https://").or_else(|| raw.strip_prefix("http://"));
    // A wildcard within an origin would match no origin.
    if raw != "*" && host.is_none_or(|host| host.is_empty() || host.contains(['/', '*'])) {
        return Err("must be * or an origin such as https://console.example.com, without a path or wildcard"
            .to_owned());
    }
    HeaderValue::from_str(raw).map_err(|error| error.to_string())
}
