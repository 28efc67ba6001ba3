//! The log: one line for each call with its tracing id, method, code, latency and key; never a secret, a title or a
//! description.

use std::{io::IsTerminal, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method};
use tracing::{Instrument, field::Empty};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::call;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Writes the log to standard error from now on: what passes `filter`, in `format`.
///
/// # Errors
/// When `filter` is malformed, or something else writes the log already.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let pretty = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    if pretty {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(colours)).try_init()?;
    } else {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(lines.with_writer(std::io::stderr)).try_init()?;
    }
    // A panic is one line of the log like any other, without what the call was about.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("for no reason given"));
    }));
    Ok(())
}

/// Traces a call of either face: gives it its id, logs how it went, and answers the id.
pub async fn trace(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = call::choose_request_id(request.headers());
    let span = tracing::info_span!("call", request_id = %id, key_id = Empty);
    let (method, path) = (request.method().clone(), path(&request));
    let traced = async {
        let mut line = Line { method, path, started, is_answered: false };
        let response = call::traced(Arc::clone(&id), next.run(request)).await;
        line.write(&response);
        response
    };
    let mut response = traced.instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(call::REQUEST_ID, id);
    }
    response
}

/// The line that the log gets for a call, also for one whose caller goes away.
struct Line {
    method: Method,
    path: String,
    started: Instant,
    is_answered: bool,
}

impl Line {
    fn write(&mut self, response: &Response) {
        self.is_answered = true;
        let (method, path, latency_us) = (&self.method, &self.path, self.latency_us());
        if let Some(code) = grpc_code(response.headers()) {
            tracing::info!(path, code, latency_us, "gRPC");
        } else {
            tracing::info!(%method, path, code = response.status().as_u16(), latency_us, "HTTP");
        }
    }

    fn latency_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_answered {
            let (method, path, latency_us) = (&self.method, &self.path, self.latency_us());
            tracing::info!(%method, path, latency_us, "the caller went away");
        }
    }
}

/// The most characters of a path that the log repeats.
const MAX_PATH: usize = 100;

/// The route that was taken; of gRPC, whose routes are whole services, the method. What matches no route is not
/// repeated: anything may stand in it.
fn path(request: &Request) -> String {
    match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some(route) if route.ends_with("/{*rest}") => request.uri().path().chars().take(MAX_PATH).collect(),
        Some(route) => route.to_owned(),
        None => "(no route)".to_owned(),
    }
}

/// The gRPC code that a response carries: in its headers when the call failed, else OK is still to come.
fn grpc_code(headers: &HeaderMap) -> Option<i32> {
    let is_grpc = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?.starts_with("application/grpc");
    let failed = || headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    is_grpc.then(|| failed().unwrap_or(0))
}
