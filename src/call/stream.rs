//! Answers that may have no end: each ends at its caller's deadline, when the credentials end, when the server shuts down, or
//! when nothing comes from the other side for too long. How it ended is in the log.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
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
    time::{Instant, Sleep, sleep, sleep_until},
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

/// The limits of an open stream.
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
            quiet: patience.map(|patience| (patience, Box::pin(sleep(patience)))),
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

/// The body of an answer without an end.
struct Stream<H, R: FnOnce(Ended)> {
    body: Body,
    ending: Ending,
    /// How long it lasts without a frame, and the clock of that.
    quiet: Option<(Duration, Pin<Box<Sleep>>)>,
    last: LastFrame,
    end: End<R>,
    _held: H,
}

impl<H, R: FnOnce(Ended)> Stream<H, R> {
    /// The next frame, or the error that ends the stream. The end is looked at first: frames may be ready all the time.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<BodyFrame, Error>> {
        if let Poll::Ready(error) = self.ending.as_mut().poll(context) {
            return Poll::Ready(Err(error));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            if let Some((patience, clock)) = &mut self.quiet {
                clock.as_mut().reset(Instant::now() + *patience);
            }
            return Poll::Ready(Ok(frame));
        }
        let Some((patience, clock)) = &mut self.quiet else { return Poll::Pending };
        ready!(clock.as_mut().poll(context));
        Poll::Ready(Err(Error::deadline_exceeded(*patience)))
    }
}

type BodyFrame = Option<Result<Frame<Bytes>, axum::Error>>;

impl<H: Unpin, R: FnOnce(Ended) + Unpin> HttpBody for Stream<H, R> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BodyFrame> {
        let this = &mut *self;
        let frame = match ready!(this.poll_next(context)) {
            Ok(frame) => frame,
            Err(error) => {
                // The trailers are the last frame.
                (this.body, this.quiet) = (Body::empty(), None);
                this.ending = Box::pin(std::future::pending());
                this.end.reason = Some(error.reason());
                Some(Ok(Frame::trailers((this.last)(&error))))
            }
        };
        if let Some(Ok(frame)) = &frame {
            this.end.record(frame);
        }
        Poll::Ready(frame)
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
    fn record(&mut self, frame: &Frame<Bytes>) {
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http_body_util::BodyExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    fn limits() -> Limits {
        Limits { deadline: None, patience: None, credentials: None, shutdown: None }
    }

    /// Reads a stream to its end; returns how it ended.
    async fn ended(body: Body, limits: Limits) -> Ended {
        let reported = Arc::new(Mutex::new(None));
        let report = Arc::clone(&reported);
        let last: LastFrame =
            |_| HeaderMap::from_iter([("grpc-status".parse().unwrap(), "4".parse().unwrap())]);
        let answer = without_end(Response::new(body), limits, last, (), move |ended| {
            *report.lock().unwrap() = Some(ended);
        });
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        drop(body);
        reported.lock().unwrap().take().expect("the end is reported")
    }

    /// A body of which a frame is ready all the time.
    fn lively() -> Body {
        let frame = || Ok::<_, axum::Error>(Bytes::from_static(b"x"));
        Body::from_stream(tokio_stream::iter(std::iter::repeat_with(frame)))
    }

    /// A body of which nothing comes.
    fn silent() -> Body {
        Body::from_stream(tokio_stream::pending::<Result<Bytes, axum::Error>>())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lively_stream_ends_at_its_deadline_too() {
        let deadline = Some((Instant::now() + LIMIT, LIMIT));
        let ended = ended(lively(), Limits { deadline, ..limits() }).await;
        assert_eq!((ended.reason, ended.code), (Some(Reason::DeadlineExceeded), Some(4)));
        assert!((20..=40).contains(&ended.bytes) && ended.open_for >= LIMIT, "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lively_stream_ends_at_shutdown_too() {
        let (stop, stopping) = watch::channel(false);
        let telling = async {
            sleep(LIMIT).await;
            stop.send_replace(true);
        };
        let limits = Limits { shutdown: Some(stopping), ..limits() };
        let (ended, ()) = tokio::join!(ended(lively(), limits), telling);
        assert_eq!(ended.reason, Some(Reason::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_ends_when_its_patience_does() {
        let ended = ended(silent(), Limits { patience: Some(LIMIT), ..limits() }).await;
        assert_eq!((ended.reason, ended.bytes), (Some(Reason::DeadlineExceeded), 0));
        assert!(ended.open_for >= LIMIT);
    }
}
