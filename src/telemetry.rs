//! The log: one line a call, with its trace id, method, code, latency and key; never a secret, a title or a description.

mod limit;
mod writer;

use std::{borrow::Cow, io::IsTerminal, sync::Arc, time::Instant};

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, Method};
use tracing::Instrument;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::{
    call::{self, CallContext, stream::Ended},
    error::Reason,
};

use limit::{Limit, Verdict};
use writer::{Guards, Lines};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The limit of lines for calls without a valid key, so that they can't fill the disk.
static WITHOUT_KEY: Limit = Limit::new();

/// Starts the log: lines that pass `filter` go to standard error in `format`. Background threads write them in batches, so
/// that no call waits for standard error. While thousands of lines wait, further ones are dropped, and the next line reports
/// their number. Dropping the guards writes the lines that still wait.
///
/// # Errors
/// When `filter` is malformed, or another log is set up already.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<Guards> {
    let filter = EnvFilter::try_new(filter)?;
    let pretty = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let (writer, guards) = Lines::new(std::io::stderr, !pretty);
    let registry = tracing_subscriber::registry().with(filter);
    if pretty {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        registry.with(fmt::layer().with_writer(writer).with_ansi(colours)).try_init()?;
    } else {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(lines.with_writer(writer)).try_init()?;
    }
    // A panic becomes one log line, without data of the call.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("without a message"));
    }));
    Ok(guards)
}

/// Traces a call of either face: gives it its id, serves it, logs it, and adds the id to the response.
pub async fn trace<F: Future<Output = Response>>(
    request: Request,
    path: Cow<'static, str>,
    serve: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let peer = request.extensions().get::<call::Connection>().and_then(call::Connection::peer);
    let call = Arc::new(CallContext::new(call::choose_trace_id(request.headers()), peer));
    let span = tracing::info_span!("call", request_id = call.trace_id());
    let method = request.method().clone();
    // The line is written outside of the span: it has the same fields.
    let mut line = Line { method, path, started, call: Arc::clone(&call), is_answered: false };
    let mut response = call::traced(Arc::clone(&call), serve(request)).instrument(span).await;
    line.write(&response);
    if let Ok(id) = HeaderValue::from_str(call.trace_id()) {
        response.headers_mut().insert(call::REQUEST_ID, id);
    }
    response
}

/// Writes how a stream ended: the line of its call was written when it began.
pub fn stream_ended(path: &str, call: Option<&CallContext>, ended: &Ended) {
    let (request_id, key_id) = (call.map(CallContext::trace_id), call.and_then(CallContext::key_id));
    let (code, reason, bytes) = (ended.code, ended.reason.map(Reason::as_str), ended.bytes);
    let peer = call.and_then(CallContext::peer).map(tracing::field::display);
    let open_ms = u64::try_from(ended.open_for.as_millis()).unwrap_or(u64::MAX);
    if is_probe(path) {
        tracing::debug!(path, code, reason, open_ms, bytes, request_id, key_id, peer, "a stream ended");
    } else if is_within_limit(key_id) {
        tracing::info!(path, code, reason, open_ms, bytes, request_id, key_id, peer, "a stream ended");
    }
}

/// Returns true when a line may be written: always for a call with a valid key, within the limit for others.
fn is_within_limit(key_id: Option<&str>) -> bool {
    if key_id.is_some() {
        return true;
    }
    let verdict = WITHOUT_KEY.admit(Instant::now());
    if let Verdict::WriteAfter(count) = verdict {
        tracing::info!(count, "… and {count} more calls without a valid key");
    }
    verdict != Verdict::Omit
}

/// The log line of a call, written also when the caller disconnects.
struct Line {
    method: Method,
    path: Cow<'static, str>,
    started: Instant,
    call: Arc<call::CallContext>,
    is_answered: bool,
}

impl Line {
    fn write(&mut self, response: &Response) {
        self.is_answered = true;
        if !is_within_limit(self.call.key_id()) {
            return;
        }
        let Self { method, path, call, .. } = &*self;
        let (path, request_id, key_id) = (path.as_ref(), call.trace_id(), call.key_id());
        let peer = call.peer().map(tracing::field::display);
        let (reason, latency_us) = (call.failure(), self.latency_us());
        let (grpc, status) = (grpc_code(response.headers()), response.status());
        let is_quiet = is_probe(path) && grpc.map_or(status.is_success(), |code| code == 0);
        match (grpc, status.as_u16()) {
            // Load balancers probe all the time: successful probes are noise.
            (_, code) if is_quiet => tracing::debug!(path, code, latency_us, request_id, peer, "probe"),
            (Some(code), _) => {
                tracing::info!(path, code, reason, latency_us, request_id, key_id, peer, "gRPC");
            }
            (None, code) => {
                tracing::info!(%method, path, code, reason, latency_us, request_id, key_id, peer, "HTTP");
            }
        }
    }

    fn latency_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_answered && is_within_limit(self.call.key_id()) {
            let Self { method, path, call, .. } = &*self;
            let path = path.as_ref();
            let (request_id, key_id, latency_us) = (call.trace_id(), call.key_id(), self.latency_us());
            let peer = call.peer().map(tracing::field::display);
            tracing::info!(%method, path, latency_us, request_id, key_id, peer, "the caller disconnected");
        }
    }
}

/// Returns true for the path of a health check.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz") || path.starts_with("/grpc.health.v1.Health/")
}

/// Returns the gRPC code of a response: a failed call has it in its headers, any other ends with OK in its trailers.
fn grpc_code(headers: &HeaderMap) -> Option<i32> {
    let is_grpc = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?.starts_with("application/grpc");
    let failed = || headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    is_grpc.then(|| failed().unwrap_or(0))
}
