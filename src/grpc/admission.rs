//! Admission of gRPC calls: verifies the key and reads the deadline before the method runs.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::HeaderMap;

use super::status;
use crate::{
    auth::Authenticator,
    call,
    error::{Error, Reason},
};

/// The header in which a caller sets its deadline.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The conditions of admission.
#[derive(Clone)]
pub struct Admission {
    authenticator: Authenticator,
    request_timeout: Duration,
}

impl Admission {
    /// Admits calls with a key that `authenticator` knows, for at most `request_timeout`.
    pub const fn new(authenticator: Authenticator, request_timeout: Duration) -> Self {
        Self { authenticator, request_timeout }
    }

    async fn admit(&self, request: Request, next: Next) -> Result<Response, Error> {
        let asked = deadline(request.headers())?;
        let limit = asked.map_or(self.request_timeout, |asked| asked.min(self.request_timeout));
        call::admit(&self.authenticator, limit, request, next).await
    }
}

/// Admits a call to its method, with its `Caller` among the extensions, and gives codec errors their reason.
pub async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let answer = admission.admit(request, next).await;
    answer.map_or_else(|error| status::status(&error).into_http(), status::name_codec_errors)
}

/// Reads the time that the caller waits: at most eight digits and a unit.
pub fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse_timeout);
    let refused =
        || Error::new(Reason::MalformedRequest, "grpc-timeout must be 1 to 8 digits and one of H M S m u n");
    parsed.ok_or_else(refused).map(Some)
}

fn parse_timeout(raw: &str) -> Option<Duration> {
    let (digits, unit) = raw.split_at_checked(raw.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(count)),
        "M" => Some(Duration::from_mins(count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn junk_never_panics(raw in any::<String>()) {
            parse_timeout(&raw);
        }
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(parse_timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        for raw in ["", "m", "-1S", "1", "123456789S", "1s", "1 S", "½"] {
            assert_eq!(parse_timeout(raw), None, "{raw}");
        }
    }
}
