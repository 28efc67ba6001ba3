//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within bounds that no client can stretch.

use std::{
    future::Future,
    io::ErrorKind,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::Service;

/// How many connections at most; more wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a connection may take to send the head of a request, or stay silent between two over HTTP/1.1.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// How many calls one HTTP/2 connection may have in flight.
const MAX_STREAMS: u32 = 1_024;
/// How many bytes of headers a request may have.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// How many bytes one HTTP/2 stream may send ahead of being read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// How long to wait when the machine can take no further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on the connections that `listener` takes until `stop` is done. Answers the connections that are open
/// then; shutting them down waits for their calls.
pub async fn accept_until(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let builder = builder();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            // The semaphore is never closed, so a place is always given in the end.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (accept(&listener).await, place)
        };
        let (stream, place) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => return connections,
        };
        let connection = serve(builder.clone(), stream, router.clone(), connections.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
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

/// Serves one connection. One that has sent no request within [`HEAD_TIMEOUT`] is closed, whatever protocol it has
/// begun to speak.
async fn serve(
    builder: Builder<TokioExecutor>,
    stream: TcpStream,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small and must not wait for more to send.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let spoke = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        spoke.store(true, Ordering::Relaxed);
        router.clone().call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(watcher.watch(connection));
    let served = tokio::select! {
        served = &mut connection => served,
        () = tokio::time::sleep(HEAD_TIMEOUT) => {
            if !spoke.load(Ordering::Relaxed) {
                return;
            }
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}
