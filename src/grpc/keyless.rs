//! Limits of calls without a key, so that they can't exhaust the server.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::HeaderMap;
use tokio::{sync::watch, time::Instant};

use super::{admission::deadline, methods, status, streams::Streams};
use crate::{
    auth::{Authenticator, Caller},
    call::{
        self, Connection,
        stream::{self, Ended},
    },
    error::{Error, Reason},
    telemetry,
};

/// The most bytes of a message, which holds only names.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024;
/// The most open calls of a connection.
const MAX_PER_CONNECTION: usize = 8;
/// The longest time that reflection waits for the next question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The limits of calls without a key.
#[derive(Clone)]
pub struct KeylessLimits {
    request_timeout: Duration,
    end: watch::Receiver<bool>,
    streams: Arc<Streams>,
    /// Checks the keys of streams that have one.
    authenticator: Authenticator,
}

impl KeylessLimits {
    /// Bounds the time until the head of a response by `request_timeout`, and ends calls when `end` turns true.
    pub fn new(request_timeout: Duration, end: watch::Receiver<bool>, authenticator: Authenticator) -> Self {
        Self { request_timeout, end, streams: Arc::default(), authenticator }
    }

    async fn call(mut self, request: Request, next: Next) -> Result<Response, Error> {
        let connection = request.extensions().get::<Connection>();
        let counted = match connection {
            Some(connection) => Some(connection.open(MAX_PER_CONNECTION).ok_or_else(too_many)?),
            None => None,
        };
        let kind = Kind::of(request.uri().path());
        let place = match kind {
            Kind::Single => None,
            _ => Some(self.streams.take(connection.and_then(Connection::network)).ok_or_else(too_many)?),
        };
        let (path, stream) = (request.uri().path().to_owned(), self.stream_limits(kind, &request)?);
        let answer = tokio::select! {
            answer = call::within(self.request_timeout, next.run(request)) => answer?,
            // An error means that the sender is dropped, which ends calls too.
            _ = self.end.wait_for(|end| *end) => return Err(Error::unavailable("the server shuts down")),
        };
        if kind == Kind::Single {
            return Ok(answer);
        }
        let context = call::current();
        let report = move |ended: Ended| {
            let path = methods::known(&path).unwrap_or("(no method)");
            telemetry::stream_ended(path, context.as_deref(), &ended);
        };
        Ok(stream::without_end(answer, stream, trailers, (counted, place), report))
    }

    /// The limits of a stream of that kind. A watch is ended at shutdown by its own last message.
    fn stream_limits(&self, kind: Kind, request: &Request) -> Result<stream::Limits, Error> {
        let is_reflection = kind == Kind::Reflection;
        let asked = if kind == Kind::Single { None } else { deadline(request.headers())? };
        let deadline = asked.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        let caller = request.extensions().get::<Caller>();
        Ok(stream::Limits {
            deadline,
            patience: is_reflection.then_some(QUESTION_TIMEOUT),
            credentials: caller.map(|caller| (self.authenticator.clone(), Arc::clone(caller.principal()))),
            shutdown: is_reflection.then(|| self.end.clone()),
        })
    }
}

/// The last frame of a stream that an error ends.
fn trailers(error: &Error) -> HeaderMap {
    status::status(error).into_http::<()>().headers().clone()
}

/// Serves a call within the limits.
pub async fn limit(State(limits): State<KeylessLimits>, request: Request, next: Next) -> Response {
    limits.call(request, next).await.unwrap_or_else(|error| status::status(&error).into_http())
}

fn too_many() -> Error {
    Error::new(Reason::RateLimited, "too many calls without a key are open, try again")
}

/// The kind of a method's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Watch,
    Reflection,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path.rsplit_once('/') {
            Some((_, "Watch")) => Self::Watch,
            Some((_, "ServerReflectionInfo")) => Self::Reflection,
            _ => Self::Single,
        }
    }
}
