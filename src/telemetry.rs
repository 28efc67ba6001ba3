//! The log: one line for each call with its tracing id, method, code, latency and key; never a secret, a title or a
//! description.

use std::{io::IsTerminal, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue};
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
    Ok(())
}

/// Traces a call of either face: gives it its id, logs how it went, and answers the id.
pub async fn trace(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = call::choose_request_id(request.headers());
    let span = tracing::info_span!("call", request_id = %id, key_id = Empty);
    let (method, path) = (request.method().clone(), path(&request));
    let traced = async {
        let response = call::traced(Arc::clone(&id), next.run(request)).await;
        let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(code) = grpc_code(response.headers()) {
            tracing::info!(%path, code, latency_us, "gRPC");
        } else {
            tracing::info!(%method, %path, code = response.status().as_u16(), latency_us, "HTTP");
        }
        response
    };
    let mut response = traced.instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(call::REQUEST_ID, id);
    }
    response
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
