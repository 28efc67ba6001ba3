//! Exit codes of client verbs, by which scripts distinguish failures.

use thiserror::Error;

use crate::client::{self, Code, InvalidOption};

/// No key was given.
#[derive(Debug, Error)]
#[error("there is no API key: set REDFLAG_API_KEY or give --api-key-file FILE")]
pub struct MissingKey;

/// A wrong call that the parser of arguments can't detect.
#[derive(Debug, Error)]
#[error("{0} (see --help)")]
pub struct UsageError(pub &'static str);

/// The alert or status does not exist.
const NOT_FOUND: u8 = 3;
/// The server refused what was asked for.
const REFUSED: u8 = 4;
/// The key is missing, invalid or may not do it.
const NOT_ALLOWED: u8 = 5;
/// The server could not be reached, was overloaded or took too long.
const UNAVAILABLE: u8 = 6;

/// Returns the exit code of a client verb's failure; `None` for other errors.
pub fn code(error: &anyhow::Error) -> Option<u8> {
    if let Some(error) = error.downcast_ref::<client::Error>() {
        return Some(code_of(error.code()));
    }
    if error.is::<UsageError>() {
        return Some(crate::cli::USAGE);
    }
    let is_key = matches!(error.downcast_ref(), Some(InvalidOption::ApiKey));
    (is_key || error.is::<MissingKey>()).then_some(NOT_ALLOWED)
}

fn code_of(code: Code) -> u8 {
    match code {
        Code::NotFound => NOT_FOUND,
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::Aborted
        | Code::OutOfRange => REFUSED,
        Code::Unauthenticated | Code::PermissionDenied => NOT_ALLOWED,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => UNAVAILABLE,
        _ => 1,
    }
}
