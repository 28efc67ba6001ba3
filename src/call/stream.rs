//! Answers that may have no end: each ends at its caller's deadline, when the credentials end, when the server shuts down, or
//! when nothing comes from the other side for too long. How it ended is in the log.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http::HeaderMap;
use hyper::body::Frame;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    auth::{Authenticator, Principal},
    error::{Error, Reason},
};

/// How often the credentials of an open stream are checked: well within the five seconds after which a revoked key must not work.
const RECHECK_EVERY: Duration = Duration::from_secs(1);

/// Marks an answer that may have no end.
#[derive(Debug, Clone, Copy)]
pub struct WithoutEnd;

/// What an open stream watches.
pub struct Limits {
    /// When it ends at the latest, and how long it may take by then, if its caller says so.
    pub deadline: Option<(Instant, Duration)>,
    /// How long it lasts without a frame; for ever when absent.
    pub patience: Option<Duration>,
    /// The credentials that it depends on.
    pub credentials: Option<(Authenticator, Arc<Principal>)>,
    /// Turns true when the server shuts down.
    pub shutdown: Option<watch::Receiver<bool>>,
}

/// How a face ends a stream with an error.
pub type LastFrame = fn(&Error) -> HeaderMap;

/// How a stream ended, for the log.
#[derive(Debug)]
pub struct Ended {
    /// The code of gRPC in its last frame; `None` where it was cut off, or another face has no such code.
    pub code: Option<i32>,
    /// The reason, where it was ended from here.
    pub reason: Option<Reason>,
    /// How many bytes were sent.
    pub bytes: u64,
    /// How long it was open.
    pub open_for: Duration,
}

/// Lets an answer go on until one of `limits` ends it, with the frame that `last` makes. `held` is kept until then, and
/// `report` is told how it ended.
pub fn without_end<H: Send + Unpin + 'static>(
    answer: Response,
    limits: Limits,
    last: LastFrame,
    held: H,
    report: impl FnOnce(Ended) + Send + Unpin + 'static,
) -> Response {
    let Limits { deadline, patience, credentials, shutdown } = limits;
    let mut answer = answer.map(|body| {
        Body::new(Stream {
            body,
            ending: Box::pin(ending(deadline, credentials, shutdown)),
            quiet: patience.map(|patience| (patience, quiet(patience))),
            last,
            end: End { code: None, reason: None, bytes: 0, opened: Instant::now(), report: Some(report) },
            _held: held,
        })
    });
    answer.extensions_mut().insert(WithoutEnd);
    answer
}

type Ending = Pin<Box<dyn Future<Output = Error> + Send>>;

/// Completes with the reason why the stream must end.
async fn ending(
    deadline: Option<(Instant, Duration)>,
    credentials: Option<(Authenticator, Arc<Principal>)>,
    shutdown: Option<watch::Receiver<bool>>,
) -> Error {
    let deadline = async {
        match deadline {
            Some((at, limit)) => {
                sleep_until(at).await;
                Error::deadline_exceeded(limit)
            }
            None => std::future::pending().await,
        }
    };
    let revoked = async {
        let Some((authenticator, principal)) = credentials else { return std::future::pending().await };
        loop {
            sleep(RECHECK_EVERY).await;
            match authenticator.recheck(&principal).await {
                // A database that is away ends no stream.
                Err(error) if error.reason() != Reason::Unavailable => return error,
                _ => {}
            }
        }
    };
    let stopped = async {
        match shutdown {
            Some(mut shutdown) => {
                // An error means that the sender is dropped, which ends streams too.
                let _ = shutdown.wait_for(|shutdown| *shutdown).await;
                Error::unavailable("the server shuts down")
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        error = deadline => error,
        error = revoked => error,
        error = stopped => error,
    }
}

/// Completes with the reason for the end of a stream on which nothing was sent for too long.
fn quiet(patience: Duration) -> Ending {
    Box::pin(async move {
        // Nothing else ends the wait.
        let _ = timeout(patience, std::future::pending::<()>()).await;
        Error::deadline_exceeded(patience)
    })
}

/// The body of an answer without an end.
struct Stream<H, R: FnOnce(Ended)> {
    body: Body,
    ending: Ending,
    quiet: Option<(Duration, Ending)>,
    last: LastFrame,
    end: End<R>,
    _held: H,
}

impl<H, R: FnOnce(Ended)> Stream<H, R> {
    /// The error that ends the stream, if one does by now.
    fn poll_ending(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        if let Poll::Ready(error) = self.ending.as_mut().poll(context) {
            return Poll::Ready(error);
        }
        match &mut self.quiet {
            Some((_, quiet)) => quiet.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl<H: Unpin, R: FnOnce(Ended) + Unpin> HttpBody for Stream<H, R> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(frame) = polled {
            if let Some(Ok(frame)) = &frame {
                this.end.note(frame);
                if let Some((patience, waiting)) = &mut this.quiet {
                    *waiting = quiet(*patience);
                }
            }
            return Poll::Ready(frame);
        }
        let Poll::Ready(error) = this.poll_ending(context) else { return Poll::Pending };
        // The trailers are the last frame.
        (this.body, this.quiet) = (Body::empty(), None);
        this.ending = Box::pin(std::future::pending());
        this.end.reason = Some(error.reason());
        let frame = Frame::trailers((this.last)(&error));
        this.end.note(&frame);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Reports the end of a stream, also of one that is dropped.
struct End<R: FnOnce(Ended)> {
    code: Option<i32>,
    reason: Option<Reason>,
    bytes: u64,
    opened: Instant,
    report: Option<R>,
}

impl<R: FnOnce(Ended)> End<R> {
    fn note(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.bytes += data.len() as u64;
        } else if let Some(trailers) = frame.trailers_ref() {
            self.code = trailers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
        }
    }
}

impl<R: FnOnce(Ended)> Drop for End<R> {
    fn drop(&mut self) {
        let Self { code, reason, bytes, opened, .. } = *self;
        if let Some(report) = self.report.take() {
            report(Ended { code, reason, bytes, open_for: opened.elapsed() });
        }
    }
}
