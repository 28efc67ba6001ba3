//! The error of a call.

use std::{collections::BTreeMap, error, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::call;

/// The error of a call: from the server, or from the client itself when the server could not be reached, broke off or took
/// too long.
///
/// Displays as one line for people.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

/// The content of an [`Error`], boxed to keep results small.
#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    reason: Option<String>,
    message: String,
    field_violations: Vec<FieldViolation>,
    details: BTreeMap<String, String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
}

/// A field at fault, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's name in the contract.
    pub field: String,
    /// The rule, and the given value or its size.
    pub rule: String,
}

impl Error {
    /// Returns the gRPC code. `UNAVAILABLE` also for a failed or broken connection, `DEADLINE_EXCEEDED` also when the client
    /// gave up waiting: a change may then have happened.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the stable reason for programs, such as `ALERT_NOT_FOUND` (`ErrorReason` of the contract without its prefix);
    /// `None` when the error is not from redflag.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Returns the message for people, in English. It may change.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the fields at fault.
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// Returns further details for programs, such as `current_version`.
    pub fn details(&self) -> &BTreeMap<String, String> {
        &self.0.details
    }

    /// Returns the id of the call in the server's log; `None` without an answer.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the pause before a retry that the server advises.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns true for an error from the server.
    pub(super) fn is_from_server(&self) -> bool {
        self.0.request_id.is_some()
    }

    /// Reads the error in a status.
    pub(super) fn from_status(status: &Status) -> Self {
        // Only a local failure of the transport has a source, so the server could not be reached.
        if let Some(source) = error::Error::source(status) {
            let message = format!("can't reach the server: {}", root_cause(source));
            return Self::local(Code::Unavailable, message);
        }
        let details = status.get_error_details();
        let info = details.error_info();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let violation = |v: &tonic_types::FieldViolation| FieldViolation {
            field: v.field.clone(),
            rule: v.description.clone(),
        };
        let request_id = status.metadata().get(call::REQUEST_ID.as_str()).and_then(|id| id.to_str().ok());
        Self(Box::new(Inner {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()),
            message: status.message().to_owned(),
            field_violations: violations.iter().map(violation).collect(),
            details: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            request_id: request_id.map(str::to_owned),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }))
    }

    /// Makes the error of a call without an answer in time.
    pub(super) fn deadline_exceeded(timeout: Duration) -> Self {
        Self::local(
            Code::DeadlineExceeded,
            format!("no answer came within {}", humantime::format_duration(timeout)),
        )
    }

    /// Makes an error of the client itself.
    fn local(code: Code, message: String) -> Self {
        Self(Box::new(Inner {
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

/// Returns the error at the end of the chain of sources, which is the most specific.
pub(super) fn root_cause<'a>(
    mut error: &'a (dyn error::Error + 'static),
) -> &'a (dyn error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { code, reason, message, request_id, .. } = &*self.0;
        f.write_str(if message.is_empty() { code.description() } else { message })?;
        let request_id = request_id.as_ref().map(|id| format!("request id {id}"));
        let origin: Vec<_> = reason.iter().cloned().chain(request_id).collect();
        if origin.is_empty() { Ok(()) } else { write!(f, " ({})", origin.join(", ")) }
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
    fn a_status_is_read_completely() {
        let error = Error::from_status(&refused());
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("GEN_VALIDATION_ERROR")));
        let [violation] = error.field_violations() else { panic!("{error:?}") };
        assert_eq!(violation.field, "title");
        assert_eq!(error.details()["limit"], "200");
        assert_eq!((error.request_id(), error.retry_after()), (Some("r1"), Some(Duration::from_secs(3))));
        assert_eq!(error.to_string(), "title is too long (GEN_VALIDATION_ERROR, request id r1)");
    }

    #[test]
    fn an_error_without_a_message_displays_its_code() {
        let error = Error::from_status(&Status::new(Code::Internal, ""));
        assert_eq!(error.to_string(), Code::Internal.description());
    }
}
