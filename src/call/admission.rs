//! Admission: the credentials of a call, its room for large answers, and its deadline.

use std::{future::Future, time::Duration};

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    connection::Connection,
    context::{record_key, trace_id},
    headers::{ACTOR, BLNK_KEY},
};
use crate::{
    answers,
    auth::{Authenticator, Caller, Credentials},
    error::Error,
};

/// Lets a call pass to its method when its key is valid, with its [`Caller`] among the extensions, and bounds how long all
/// of it takes. Nothing of the body is read before.
///
/// # Errors
/// As [`Authenticator::authenticate`] and [`answers::Answers::reserve`], and [`crate::error::Reason::DeadlineExceeded`].
pub async fn admit(
    authenticator: &Authenticator,
    limit: Duration,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let call = async {
        let caller = authenticate(authenticator, request.headers()).await?;
        let connection = request.extensions().get::<Connection>();
        let _admitted = connection.map(|connection| connection.admit(caller.organization_id()));
        let room = match (connection, answers::most_of(&request)) {
            (Some(connection), Some(most)) => {
                let (organization, principal) = (caller.organization_id(), caller.principal().id());
                Some(connection.answers().reserve(organization, principal, most).await?)
            }
            _ => None,
        };
        request.extensions_mut().insert(caller);
        let mut answer = next.run(request).await;
        if let Some(room) = room {
            answers::hand(&mut answer, room);
        }
        Ok(answer)
    };
    within(limit, call).await?
}

/// Verifies who calls, from the headers that both faces share (gRPC metadata are headers).
async fn authenticate(authenticator: &Authenticator, headers: &HeaderMap) -> Result<Caller, Error> {
    let bytes = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let trace_id = trace_id();
    let credentials = Credentials {
        authorization: bytes(http::header::AUTHORIZATION),
        blnk_key: bytes(BLNK_KEY),
        actor: bytes(ACTOR),
        trace_id: &trace_id,
        repeated: repeated(headers),
    };
    let caller = authenticator.authenticate(credentials).await?;
    record_key(caller.principal().id());
    Ok(caller)
}

/// The header about the caller that was given more than once, where which one counts would be a guess.
fn repeated(headers: &HeaderMap) -> Option<&'static str> {
    let once = [
        (http::header::AUTHORIZATION, "authorization"),
        (BLNK_KEY, "x-blnk-key"),
        (ACTOR, "x-redflag-actor"),
    ];
    once.into_iter().find(|(name, _)| headers.get_all(name).iter().nth(1).is_some()).map(|(_, name)| name)
}

/// Runs `call` for at most `limit`; then drops it, and with it its transaction. A single statement that a database is
/// already working on runs on for a while (docs/design/calls.md).
///
/// # Errors
/// [`crate::error::Reason::DeadlineExceeded`].
pub async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(limit, call).await.map_err(|_| Error::deadline_exceeded(limit))
}
