//! The one error of the service layer, and the stable reasons that both faces report.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::Value;

use crate::domain::Invalid;

/// Why a call failed, for programs: the table of the contract (`ErrorReason` in the protos).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request is no message of its type.
    MalformedRequest,
    /// A field breaks a rule.
    ValidationError,
    /// An entity id is of no known kind.
    InvalidEntityId,
    /// The organization has no status with that key.
    UnknownStatus,
    /// The page token is damaged, or from another filter or order.
    InvalidPageToken,
    /// The call came without an API key.
    MissingApiKey,
    /// The API key is unknown or was revoked.
    InvalidApiKey,
    /// The API key has expired.
    ExpiredApiKey,
    /// The API key lacks a scope.
    InsufficientPermissions,
    /// The organization has no such alert.
    AlertNotFound,
    /// The organization has no such status.
    StatusNotFound,
    /// There is nothing at that path, or nothing of that name.
    NotFound,
    /// The organization has a status with that key already.
    StatusDuplicateKey,
    /// Alerts still use the status.
    StatusInUse,
    /// A built-in status can't be changed or deleted.
    StatusBuiltin,
    /// The path does not take that method.
    MethodNotAllowed,
    /// The request is too large.
    PayloadTooLarge,
    /// The body is of another content type.
    UnsupportedMediaType,
    /// The call's time was up.
    DeadlineExceeded,
    /// The database is away or the server is shutting down.
    Unavailable,
    /// Something unexpected went wrong.
    Internal,
    /// Somebody else changed the alert first.
    VersionConflict,
    /// The organization demands a disposition with a reason before closing.
    DispositionRequired,
    /// Another alert with the same deduplication key is open.
    DedupKeyInUse,
    /// The idempotency key names another change.
    IdempotencyKeyReused,
    /// More is asked than the service can do.
    RateLimited,
}

impl Reason {
    /// Every reason, in the contract's order.
    pub const ALL: [Self; 26] = [
        Self::MalformedRequest,
        Self::ValidationError,
        Self::InvalidEntityId,
        Self::UnknownStatus,
        Self::InvalidPageToken,
        Self::MissingApiKey,
        Self::InvalidApiKey,
        Self::ExpiredApiKey,
        Self::InsufficientPermissions,
        Self::AlertNotFound,
        Self::StatusNotFound,
        Self::NotFound,
        Self::StatusDuplicateKey,
        Self::StatusInUse,
        Self::StatusBuiltin,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::Internal,
        Self::VersionConflict,
        Self::DispositionRequired,
        Self::DedupKeyInUse,
        Self::IdempotencyKeyReused,
        Self::RateLimited,
    ];

    /// The reason's name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "GEN_MALFORMED_REQUEST",
            Self::ValidationError => "GEN_VALIDATION_ERROR",
            Self::InvalidEntityId => "ALERT_INVALID_ENTITY_ID",
            Self::UnknownStatus => "ALERT_UNKNOWN_STATUS",
            Self::InvalidPageToken => "GEN_INVALID_PAGE_TOKEN",
            Self::MissingApiKey => "AUTH_MISSING_API_KEY",
            Self::InvalidApiKey => "AUTH_INVALID_API_KEY",
            Self::ExpiredApiKey => "AUTH_EXPIRED_API_KEY",
            Self::InsufficientPermissions => "AUTH_INSUFFICIENT_PERMISSIONS",
            Self::AlertNotFound => "ALERT_NOT_FOUND",
            Self::StatusNotFound => "STATUS_NOT_FOUND",
            Self::NotFound => "GEN_NOT_FOUND",
            Self::StatusDuplicateKey => "STATUS_DUPLICATE_KEY",
            Self::StatusInUse => "STATUS_IN_USE",
            Self::StatusBuiltin => "STATUS_BUILTIN",
            Self::MethodNotAllowed => "GEN_METHOD_NOT_ALLOWED",
            Self::PayloadTooLarge => "GEN_PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "GEN_UNSUPPORTED_MEDIA_TYPE",
            Self::DeadlineExceeded => "GEN_DEADLINE_EXCEEDED",
            Self::Unavailable => "GEN_UNAVAILABLE",
            Self::Internal => "GEN_INTERNAL",
            Self::VersionConflict => "ALERT_VERSION_CONFLICT",
            Self::DispositionRequired => "ALERT_DISPOSITION_REQUIRED",
            Self::DedupKeyInUse => "ALERT_DEDUP_KEY_IN_USE",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::RateLimited => "GEN_RATE_LIMITED",
        }
    }
}

/// One field at fault, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's name in the contract.
    pub field: String,
    /// The rule and the size given.
    pub rule: Invalid,
}

/// The failure of a call.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    message: String,
    details: BTreeMap<&'static str, Value>,
    violations: Vec<Violation>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure for `reason`, told in `message`, which callers read.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            details: BTreeMap::new(),
            violations: Vec::new(),
            source: None,
        }
    }

    /// Fields that break rules; tells each of them.
    pub fn violations(reason: Reason, violations: Vec<Violation>) -> Self {
        Self { message: tell(&violations), violations, ..Self::new(reason, "") }
    }

    /// One field that breaks a rule.
    pub fn violation(reason: Reason, field: impl Into<String>, rule: Invalid) -> Self {
        Self::violations(reason, vec![Violation { field: field.into(), rule }])
    }

    /// Something unexpected: callers learn nothing but that, the log gets `source`.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(Reason::Internal, "internal error") }
    }

    /// The database does not answer: callers may try again, the log gets `source`.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(Reason::Unavailable, "the service is unavailable, try again")
        }
    }

    /// The call took longer than it may.
    pub fn deadline_exceeded(limit: Duration) -> Self {
        Self::new(Reason::DeadlineExceeded, format!("the call took longer than its deadline of {limit:?}"))
    }

    /// The same failure for each of several calls that waited for one answer.
    #[must_use]
    pub fn shared(self: &Arc<Self>) -> Self {
        match self.reason {
            Reason::Internal => Self::internal(Arc::clone(self)),
            Reason::Unavailable => {
                Self { source: Some(Arc::clone(self).into()), ..Self::new(self.reason, self.message()) }
            }
            reason => Self::new(reason, self.message()),
        }
    }

    /// The same failure with one more detail for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.insert(name, value.into());
        self
    }

    /// The same failure with its fields named by `rename`, for a face that has its own names for them; but the first
    /// `own` fields, which the face has named itself. `None` keeps a name.
    #[must_use]
    pub fn rename_fields(mut self, own: usize, rename: impl Fn(&str) -> Option<&'static str>) -> Self {
        for violation in self.violations.iter_mut().skip(own) {
            if let Some(name) = rename(&violation.field) {
                name.clone_into(&mut violation.field);
            }
        }
        if !self.violations.is_empty() {
            self.message = tell(&self.violations);
        }
        self
    }

    /// Why it failed.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The text that callers read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details for programs.
    pub const fn details(&self) -> &BTreeMap<&'static str, Value> {
        &self.details
    }

    /// The fields at fault.
    pub fn field_violations(&self) -> &[Violation] {
        &self.violations
    }

    /// When to try again, where trying again helps.
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self.reason, Reason::Unavailable | Reason::RateLimited).then_some(Duration::from_secs(1))
    }

    /// Writes what callers must not see to the log; both faces call this once for each error they send.
    pub fn log(&self) {
        let Some(source) = &self.source else { return };
        let error = chain(source.as_ref());
        if self.reason == Reason::Unavailable {
            tracing::warn!(error, "unavailable");
        } else {
            tracing::error!(error, "internal error");
        }
    }
}

/// Each field at fault with the rule it breaks, in one line.
fn tell(violations: &[Violation]) -> String {
    let told: Vec<_> =
        violations.iter().map(|violation| format!("{} {}", violation.field, violation.rule)).collect();
    told.join("; ")
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
