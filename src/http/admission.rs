//! What every call on alerts and statuses passes before its body is read.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::problem::Problem;
use crate::{auth::Authenticator, call};

/// Lets in who presents a valid key, for a limited time.
#[derive(Clone)]
pub struct Gate {
    /// Verifies keys.
    pub authenticator: Authenticator,
    /// How long a call may take.
    pub timeout: Duration,
}

/// Admits a call, or answers why not.
pub async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Result<Response, Problem> {
    Ok(call::admit(&gate.authenticator, gate.timeout, request, next).await?)
}
