//! What a call failed with.

use std::{collections::BTreeMap, error, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::call;

/// What a call failed with: told by the server, or found by the client itself when the server could not be reached, broke
/// off or took too long.
///
/// Prints as one line that a person can use.
#[derive(Debug, Clone)]
pub struct Error(Box<Told>);

/// Behind a box, since results are handed on far more often than they fail.
#[derive(Debug, Clone)]
struct Told {
    code: Code,
    reason: Option<String>,
    message: String,
    field_violations: Vec<FieldViolation>,
    details: BTreeMap<String, String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
}

/// One field at fault, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's name in the contract.
    pub field: String,
    /// The rule, and what was given.
    pub rule: String,
}

impl Error {
    /// The gRPC code. `UNAVAILABLE` also where no connection was made or it broke, `DEADLINE_EXCEEDED` also where the
    /// client has waited long enough: a change may then have happened.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The stable reason for programs, such as `ALERT_NOT_FOUND` (`ErrorReason` of the contract without its prefix). None
    /// where it was not redflag that answered.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What went wrong, for people. In English, not stable.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields at fault, where fields are.
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// What else the server says for programs, such as `current_version`.
    pub fn details(&self) -> &BTreeMap<String, String> {
        &self.0.details
    }

    /// The id under which the server's log has the call. None where no answer came.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// After which time to try again, where the server advises one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the server told it.
    pub(super) fn is_recorded(&self) -> bool {
        self.0.request_id.is_some()
    }

    /// What a status tells.
    pub(super) fn from_status(status: &Status) -> Self {
        // Only what happened on this side has a source: the way to the server is broken, whatever the transport makes of it.
        if let Some(source) = error::Error::source(status) {
            let told = format!("can't reach the server: {}", innermost(source));
            return Self::own(Code::Unavailable, told);
        }
        let details = status.get_error_details();
        let info = details.error_info();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let violation = |v: &tonic_types::FieldViolation| FieldViolation {
            field: v.field.clone(),
            rule: v.description.clone(),
        };
        let request_id = status.metadata().get(call::REQUEST_ID.as_str()).and_then(|id| id.to_str().ok());
        Self(Box::new(Told {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()),
            message: status.message().to_owned(),
            field_violations: violations.iter().map(violation).collect(),
            details: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            request_id: request_id.map(str::to_owned),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }))
    }

    /// No answer came in time.
    pub(super) fn deadline_exceeded(timeout: Duration) -> Self {
        Self::own(
            Code::DeadlineExceeded,
            format!("no answer came within {}", humantime::format_duration(timeout)),
        )
    }

    /// What the client itself has found.
    fn own(code: Code, message: String) -> Self {
        Self(Box::new(Told {
            code,
            reason: None,
            message,
            field_violations: Vec::new(),
            details: BTreeMap::new(),
            request_id: None,
            retry_after: None,
        }))
    }
}

/// The error at the bottom, which says most.
pub(super) fn innermost<'a>(mut error: &'a (dyn error::Error + 'static)) -> &'a (dyn error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { code, reason, message, request_id, .. } = &*self.0;
        f.write_str(if message.is_empty() { code.description() } else { message })?;
        let request_id = request_id.as_ref().map(|id| format!("request id {id}"));
        let told: Vec<_> = reason.iter().cloned().chain(request_id).collect();
        if told.is_empty() { Ok(()) } else { write!(f, " ({})", told.join(", ")) }
    }
}

impl error::Error for Error {}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn refused() -> Status {
        let metadata = [("limit".to_owned(), "200".to_owned())];
        let mut details = ErrorDetails::with_error_info("GEN_VALIDATION_ERROR", "redflag.dev", metadata);
        details.add_bad_request_violation("title", "must have at most 200 characters");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let mut status = Status::with_error_details(Code::InvalidArgument, "title is too long", details);
        status.metadata_mut().insert("x-request-id", "r1".parse().unwrap());
        status
    }

    #[test]
    fn what_the_server_tells_is_all_there() {
        let error = Error::from_status(&refused());
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("GEN_VALIDATION_ERROR")));
        let [violation] = error.field_violations() else { panic!("{error:?}") };
        assert_eq!(violation.field, "title");
        assert_eq!(error.details()["limit"], "200");
        assert_eq!((error.request_id(), error.retry_after()), (Some("r1"), Some(Duration::from_secs(3))));
        assert_eq!(error.to_string(), "title is too long (GEN_VALIDATION_ERROR, request id r1)");
    }

    #[test]
    fn what_has_no_text_is_told_by_its_code() {
        let error = Error::from_status(&Status::new(Code::Internal, ""));
        assert_eq!(error.to_string(), Code::Internal.description());
    }
}
