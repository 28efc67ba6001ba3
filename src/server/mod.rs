//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within bounds that no client can stretch.

mod coalescing;
mod connection_state;
pub mod listen;
mod places;
pub mod router;
mod sending;
mod stalling;

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    io::ErrorKind,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::timeout,
};
use tower::Service;

use self::{
    coalescing::Coalescing,
    connection_state::{ConnectionState, Ended},
    places::{Place, Places},
    stalling::Tasks,
};
use crate::{answers::Answers, call, config::ConnectionLimits};

/// How long a connection that was told to leave, and has answered its calls, may take to do so.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
/// The same of a connection that never showed a valid key.
const STRANGER_LEAVE_TIMEOUT: Duration = Duration::from_millis(200);
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
/// The answer to a connection that there is no place for. HTTP/2 has no shorter way to say it than to end: its clients take
/// this for the end, and try again elsewhere or later.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 142\r\n\r\n\
    {\"error\":\"too many connections, try again\",\"error_detail\":{\"code\":\"GEN_UNAVAILABLE\",\
    \"message\":\"too many connections, try again\",\"details\":{}}}";

/// The connections that are open.
pub struct Connections {
    leave: watch::Sender<bool>,
    /// Each connection holds a sender: when all are dropped, all have ended.
    ended: (mpsc::Sender<()>, mpsc::Receiver<()>),
    places: Arc<Places>,
    limits: ConnectionLimits,
    answers: Answers,
    builder: Arc<Builder<Tasks>>,
    router: Router,
    /// Spreads the ends of connections that began together.
    jitter: RandomState,
}

impl Connections {
    fn new(router: Router, limits: ConnectionLimits, answers: Answers) -> Self {
        Self {
            leave: watch::Sender::new(false),
            ended: mpsc::channel(1),
            places: Places::new(limits),
            limits,
            answers,
            builder: Arc::new(builder()),
            router,
            jitter: RandomState::new(),
        }
    }

    /// Tells all connections to go away, and waits until their calls are answered.
    pub async fn shutdown(self) {
        let (mine, mut ended) = self.ended;
        drop(mine);
        self.leave.send_replace(true);
        // Nothing is ever sent: this answers when the last sender is gone.
        ended.recv().await;
    }

    /// Serves a connection in a task of its own, or refuses it. Waits for nothing.
    fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let network = (self.limits.per_address > 0).then(|| places::network(peer.ip()));
        let state = Arc::new(ConnectionState::new(
            call::Connection::new(self.answers.clone(), Some(peer), network),
            self.limits.idle,
            self.max_age(peer),
        ));
        let connection = Connection {
            builder: Arc::clone(&self.builder),
            router: self.router.clone(),
            state: Arc::clone(&state),
            grace: self.limits.age_grace,
            leave: self.leave.subscribe(),
        };
        // Not from within an `async` block: one that awaits what it has captured keeps room for it twice, as long as it lasts.
        let start = |place, stream| tokio::spawn(serve(place, connection, stream)).abort_handle();
        let refused = self.places.take((stream, peer.ip()), state, self.ended.0.clone(), start);
        if let Some(stream) = refused {
            refuse(&stream);
        }
    }

    /// How long a connection may last: its limit, give or take a tenth.
    fn max_age(&self, peer: SocketAddr) -> Option<Duration> {
        let percent = 90 + u32::try_from(self.jitter.hash_one(peer) % 21).unwrap_or_default();
        (!self.limits.max_age.is_zero()).then(|| self.limits.max_age / 100 * percent)
    }
}

/// Serves `router` on the connections that `listener` takes until `stop` is done. Answers the connections that are open
/// then.
pub async fn accept_until(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    answers: Answers,
    stop: impl Future<Output = ()>,
) -> Connections {
    let connections = Connections::new(router, limits, answers);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (stream, peer) = accept(&listener, &connections.places) => connections.serve(stream, peer),
            () = &mut stop => return connections,
        }
    }
}

fn builder() -> Builder<Tasks> {
    let mut builder = Builder::new(Tasks);
    // How long a head may take, and how long a connection may be idle, are two times for us and one for hyper.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(64 * 1024);
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

async fn accept(listener: &TcpListener, places: &Places) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client was gone before it was accepted.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(%error, "can't take a connection");
                // Most often there are too many open files.
                places.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a connection that there is no place for it, as far as that goes without waiting.
fn refuse(stream: &TcpStream) {
    // A connection that is new has room for it; one that is gone needs no answer.
    let _ = stream.try_write(FULL);
}

/// The parts that one connection is served with.
struct Connection {
    builder: Arc<Builder<Tasks>>,
    router: Router,
    state: Arc<ConnectionState>,
    /// How long its calls may take to finish when it is old.
    grace: Duration,
    leave: watch::Receiver<bool>,
}

/// Serves one connection until it ends, or is told to leave, by `leave`, for its silence or for its age. Its place is free
/// when all else of it is gone.
async fn serve(_place: Place, connection: Connection, stream: TcpStream) {
    let Connection { builder, router, state, grace, mut leave } = connection;
    // Answers are small and must not wait for more to send.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let call = ConnectionState::begin(&state, request.version());
        request.extensions_mut().insert(state.connection().clone());
        let answer = router.clone().call(request);
        async move { answer.await.map(|answer| sending::send(call, answer)) }
    });
    let io = TokioIo::new(Coalescing::new(stream, Arc::clone(&state)));
    let mut connection = pin!(builder.serve_connection(io, service));
    let served = tokio::select! {
        served = &mut connection => Some(served),
        has_grace = left(&mut leave, &state) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                served = &mut connection => Some(served),
                // Streams without an end and answers that nobody reads are left then.
                () = answered(&state, has_grace.then_some(grace)) => {
                    let patience = if state.is_known() { LEAVE_TIMEOUT } else { STRANGER_LEAVE_TIMEOUT };
                    timeout(patience, connection).await.ok()
                }
            }
        }
    };
    if let Some(Err(error)) = served {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Is done when the connections are told to leave, or nobody is left who could tell them, or this one is silent, old
/// or displaced. Returns true for one whose calls have a time to finish of their own.
async fn left(leave: &mut watch::Receiver<bool>, state: &ConnectionState) -> bool {
    tokio::select! {
        _ = leave.wait_for(|leave| *leave) => false,
        ended = state.ended() => ended != Ended::Silent,
    }
}

/// Is done when the calls are answered, and, where there is a `grace`, then at the latest.
async fn answered(state: &ConnectionState, grace: Option<Duration>) {
    match grace {
        // Calls that are not answered by then are cut off.
        Some(grace) => drop(timeout(grace, state.answered()).await),
        None => state.answered().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_is_told_as_the_contract_says() {
        let told = std::str::from_utf8(FULL).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error_detail"]["code"], "GEN_UNAVAILABLE");
    }
}
