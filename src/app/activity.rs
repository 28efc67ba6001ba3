//! What a connection is doing, so that silent and stalled ones can be told from those that are at work.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::server::HEAD_TIMEOUT;
use crate::grpc;

/// How long a connection may go without a call before it is told to go away.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// How long nothing may be taken of an answer before the connection is told to go away.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How long nothing may be taken of an answer while the server shuts down.
const LAST_STALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a connection that is leaving is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of an answer is handed over at once: the rest waits until the caller has taken it.
const CHUNK: usize = 64 * 1024;

/// What a connection has been doing.
pub struct Activity(Mutex<Doing>);

struct Doing {
    /// Calls that are being worked on.
    calls: usize,
    /// Answers that are being sent.
    answers: usize,
    /// Answers without an end.
    streams: usize,
    /// Whether there was ever a call.
    spoke: bool,
    /// When something last began, moved or ended.
    since: Instant,
}

impl Activity {
    /// A connection that has done nothing yet.
    pub fn new() -> Self {
        let since = Instant::now();
        Self(Mutex::new(Doing { calls: 0, answers: 0, streams: 0, spoke: false, since }))
    }

    /// Notes that a call has begun.
    pub fn begin(activity: &Arc<Self>) -> Call {
        activity.change(|doing| doing.spoke = true);
        Call(Held::new(activity, |doing| &mut doing.calls))
    }

    /// Is done when the connection has been silent, or its caller has taken nothing of an answer, for too long. Whatever
    /// protocol it has begun to speak, a first call must come soon.
    pub async fn silence(&self) {
        loop {
            let left = self.change(|doing| {
                let patience = match doing {
                    Doing { calls: 0, answers: 0, streams: 0, spoke: false, .. } => HEAD_TIMEOUT,
                    Doing { calls: 0, answers: 0, streams: 0, .. } => IDLE_TIMEOUT,
                    Doing { calls: 0, answers: 1.., .. } => STALL_TIMEOUT,
                    // A call has a limit of its own; a stream lasts as long as both sides want.
                    _ => return HEAD_TIMEOUT,
                };
                patience.saturating_sub(doing.since.elapsed())
            });
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// Is done when every call is answered, and every answer taken or left lying.
    pub async fn answered(&self) {
        let is_busy = |doing: &mut Doing| {
            doing.calls > 0 || (doing.answers > 0 && doing.since.elapsed() < LAST_STALL_TIMEOUT)
        };
        while self.change(is_busy) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether a call is being worked on.
    pub fn is_working(&self) -> bool {
        self.change(|doing| doing.calls > 0)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Doing) -> T) -> T {
        // The numbers are whole at every moment, also where a holder has panicked.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Chooses one of the numbers.
type Counter = fn(&mut Doing) -> &mut usize;

/// One more of something, for as long as it is held.
struct Held {
    activity: Arc<Activity>,
    counter: Counter,
}

impl Held {
    fn new(activity: &Arc<Activity>, counter: Counter) -> Self {
        activity.change(|doing| {
            *counter(doing) += 1;
            doing.since = Instant::now();
        });
        Self { activity: Arc::clone(activity), counter }
    }

    fn moved(&self) {
        self.activity.change(|doing| doing.since = Instant::now());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.activity.change(|doing| {
            *(self.counter)(doing) -= 1;
            doing.since = Instant::now();
        });
    }
}

/// A call that is being worked on.
pub struct Call(Held);

impl Call {
    /// The answer, which counts as being sent until its end.
    pub fn answer(self, answer: Response) -> Response {
        let is_stream = answer.extensions().get::<grpc::WithoutEnd>().is_some();
        let counter: Counter =
            if is_stream { |doing| &mut doing.streams } else { |doing| &mut doing.answers };
        let held = Held::new(&self.0.activity, counter);
        answer.map(|body| Body::new(Sending { body, rest: Bytes::new(), held }))
    }
}

/// The body of an answer, handed over piece by piece.
struct Sending {
    body: Body,
    rest: Bytes,
    held: Held,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body.frame()).poll(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        self.held.moved();
        let size = self.rest.len().min(CHUNK);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
