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

/// Verifies who calls, hands it to the call as [`crate::auth::Caller`], and bounds how long all of it takes.
pub async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let call = async {
        let caller = call::authenticate(&gate.authenticator, request.headers()).await?;
        request.extensions_mut().insert(caller);
        Ok(next.run(request).await)
    };
    call::within(gate.timeout, call).await?
}
