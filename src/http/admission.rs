//! Admission of REST calls: verifies the key before the body is read, and bounds the call's time.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::problem::Problem;
use crate::{auth::Authenticator, call};

/// The conditions of admission.
#[derive(Clone)]
pub struct Admission {
    /// Verifies keys.
    pub authenticator: Authenticator,
    /// The longest time that a call may take.
    pub timeout: Duration,
}

/// Admits a call with a valid key, and answers any other with the reason.
pub async fn admit(
    State(admission): State<Admission>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    Ok(call::admit(&admission.authenticator, admission.timeout, request, next).await?)
}
