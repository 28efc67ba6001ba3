//! The facts of the call that is being served: what traces it, and what the log says of it.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use http::HeaderMap;
use uuid::Uuid;

use super::headers::REQUEST_ID;
use crate::error::Reason;

/// The most characters that a caller's trace id may have; a longer one is replaced.
const MAX_TRACE_ID: usize = 128;

/// The facts of a call that are logged.
#[derive(Debug)]
pub struct CallContext {
    trace_id: Arc<str>,
    peer: Option<SocketAddr>,
    key_id: OnceLock<String>,
    failure: OnceLock<Reason>,
}

impl CallContext {
    /// A call with that trace id from `peer`, whose key is not known yet.
    pub const fn new(trace_id: Arc<str>, peer: Option<SocketAddr>) -> Self {
        Self { trace_id, peer, key_id: OnceLock::new(), failure: OnceLock::new() }
    }

    /// The trace id.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The address that the call comes from, of the last proxy where there is one.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The id of the key, once it is known.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.get().map(String::as_str)
    }

    /// The name of the reason why it failed, if it did.
    pub fn failure(&self) -> Option<&'static str> {
        self.failure.get().map(|reason| reason.as_str())
    }
}

/// Records why the call that is being served fails, for the log.
pub fn record_failure(reason: Reason) {
    // The first error is the one that is answered; outside of a call nobody asks.
    let _ = CURRENT.try_with(|traced| traced.failure.set(reason));
}

tokio::task_local! {
    static CURRENT: Arc<CallContext>;
}

/// Records the key of the call that is being served, for the log.
pub(super) fn record_key(key_id: String) {
    // Known once, if at all: outside of a call nobody asks.
    let _ = CURRENT.try_with(|traced| traced.key_id.set(key_id));
}

/// Serves a call so that it can be traced.
pub async fn traced<T>(traced: Arc<CallContext>, call: impl Future<Output = T>) -> T {
    CURRENT.scope(traced, call).await
}

/// The call that is being served; `None` outside of one.
pub fn current() -> Option<Arc<CallContext>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// The trace id of the call that is being served; empty outside of one.
pub fn trace_id() -> Arc<str> {
    CURRENT.try_with(|traced| Arc::clone(&traced.trace_id)).unwrap_or_default()
}

/// The trace id that the caller sent, or a fresh one when there is none, or one that is no visible ASCII.
#[expect(clippy::disallowed_methods, reason = "a trace id is no data: nothing depends on which it is")]
pub fn choose_trace_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable =
        |id: &&str| (1..=MAX_TRACE_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    sent.filter(usable).map_or_else(|| Uuid::new_v4().to_string().into(), Into::into)
}
