//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within bounds that no client can stretch.

use std::{future::Future, io::ErrorKind, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};
use tower::Service;

use super::{activity::Activity, gathering::Gathering};

/// How many connections at most; more wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a connection may take to send the head of a request, or stay silent between two over HTTP/1.1.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that was told to leave, and has answered its calls, may take to do so.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// How many calls one HTTP/2 connection may have in flight.
const MAX_STREAMS: u32 = 128;
/// How many bytes of headers a request may have.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// How many bytes one HTTP/2 stream may send ahead of being read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// How long to wait when the machine can take no further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections that are open.
pub struct Connections {
    leave: watch::Sender<bool>,
    /// Each connection holds a sender: when all are dropped, all have ended.
    ended: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

/// What a connection holds as long as it is there.
struct Place {
    /// Lets it be one of [`MAX_CONNECTIONS`].
    _permit: Option<OwnedSemaphorePermit>,
    /// Its share in [`Connections::ended`].
    _ended: mpsc::Sender<()>,
}

impl Connections {
    fn new() -> Self {
        Self { leave: watch::Sender::new(false), ended: mpsc::channel(1) }
    }

    /// Tells all connections to go away, and waits until their calls are answered.
    pub async fn shutdown(self) {
        let (mine, mut ended) = self.ended;
        drop(mine);
        self.leave.send_replace(true);
        // Nothing is ever sent: this answers when the last sender is gone.
        ended.recv().await;
    }
}

/// Serves `router` on the connections that `listener` takes until `stop` is done. Answers the connections that are open
/// then.
pub async fn accept_until(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) -> Connections {
    let connections = Connections::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let builder = Arc::new(builder());
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            // The semaphore is never closed, so a place is always given in the end.
            let permit = Arc::clone(&places).acquire_owned().await.ok();
            (accept(&listener).await, permit)
        };
        let (stream, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => return connections,
        };
        let place = Place { _permit: permit, _ended: connections.ended.0.clone() };
        let (builder, router) = (Arc::clone(&builder), router.clone());
        // Not from within an `async` block: one that awaits what it has captured keeps room for it twice, as long as it lasts.
        tokio::spawn(serve(place, builder, stream, router, connections.leave.subscribe()));
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(64 * 1024);
    let (interval, timeout) = KEEP_ALIVE;
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(interval)
        .keep_alive_timeout(timeout)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW);
    builder
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client was gone before it was accepted.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(%error, "can't take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends, or is told to leave, by `leave` or for its silence. Its place is free when all else
/// of it is gone.
async fn serve(
    _place: Place,
    builder: Arc<Builder<TokioExecutor>>,
    stream: TcpStream,
    router: Router,
    mut leave: watch::Receiver<bool>,
) {
    // Answers are small and must not wait for more to send.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let activity = Arc::new(Activity::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let call = Activity::begin(&activity);
        let answer = router.clone().call(request);
        async move { answer.await.map(|answer| call.answer(answer)) }
    });
    let io = TokioIo::new(Gathering::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(builder.serve_connection(io, service));
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = left(&mut leave, &activity) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                served = &mut connection => Some(served),
                // What is left then are streams without an end, and answers that nobody reads.
                () = activity.answered() => tokio::time::timeout(LEAVE_TIMEOUT, connection).await.ok(),
            }
        }
    };
    if let Some(Err(error)) = served {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Is done when the connections are told to leave, or nobody is left who could tell them, or this one is silent.
async fn left(leave: &mut watch::Receiver<bool>, activity: &Activity) {
    tokio::select! {
        _ = leave.wait_for(|leave| *leave) => {}
        () = activity.silence() => {}
    }
}
