//! Limits of calls without a key, so that they can't exhaust the server.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use hyper::body::Frame;
use tokio::{sync::watch, time::timeout};

use super::{
    status,
    streams::{StreamPlace, Streams},
};
use crate::{
    call::{self, Connection, Counted},
    error::{Error, Reason},
};

/// The most bytes of a message, which holds only names.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024;
/// The most open calls of a connection.
const MAX_PER_CONNECTION: usize = 8;
/// The longest time that reflection waits for the next question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Marks a response that may have no end: a health watch or a reflection stream.
#[derive(Debug, Clone, Copy)]
pub struct WithoutEnd;

/// The limits of calls without a key.
#[derive(Clone)]
pub struct KeylessLimits {
    request_timeout: Duration,
    end: watch::Receiver<bool>,
    streams: Arc<Streams>,
}

impl KeylessLimits {
    /// Bounds the time until the head of a response by `request_timeout`, and ends calls when `end` turns true.
    pub fn new(request_timeout: Duration, end: watch::Receiver<bool>) -> Self {
        Self { request_timeout, end, streams: Arc::default() }
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
        let end = self.end.clone();
        let answer = tokio::select! {
            answer = call::within(self.request_timeout, next.run(request)) => answer?,
            // An error means that the sender is dropped, which ends calls too.
            _ = self.end.wait_for(|end| *end) => return Err(Error::unavailable("the server shuts down")),
        };
        if kind == Kind::Single {
            return Ok(answer);
        }
        let question = (kind == Kind::Reflection).then(|| question(end.clone()));
        let mut answer =
            answer.map(|body| Body::new(Stream { body, question, end, _held: (counted, place) }));
        answer.extensions_mut().insert(WithoutEnd);
        Ok(answer)
    }
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

type Question = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Completes when no question has come for too long, or the server shuts down.
fn question(mut end: watch::Receiver<bool>) -> Question {
    Box::pin(async move { drop(timeout(QUESTION_TIMEOUT, end.wait_for(|end| *end)).await) })
}

/// The body of a response without an end, with its place among the streams. Reflection ends when no question comes.
struct Stream {
    body: Body,
    question: Option<Question>,
    end: watch::Receiver<bool>,
    _held: (Option<Counted>, Option<StreamPlace>),
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Some(asked) = self.question.as_mut() else {
            return polled;
        };
        if polled.is_ready() {
            let end = self.end.clone();
            self.question = Some(question(end));
            return polled;
        }
        if asked.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        // The trailers are the last frame.
        self.body = Body::empty();
        self.question = None;
        let ended = if *self.end.borrow() {
            Error::unavailable("the server shuts down")
        } else {
            Error::deadline_exceeded(QUESTION_TIMEOUT)
        };
        let trailers = status::status(&ended).into_http::<Body>().headers().clone();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
