//! Work that both faces do for every call: its tracing id, its credentials, its deadline.

use std::{
    future::Future,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::{
    answers::{self, Answers},
    auth::{Authenticator, Caller, Credentials},
    domain::OrganizationId,
    error::{Error, Reason},
};

/// The header (and metadata key) that traces one call; taken from the caller or made, and always answered.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header (and metadata key) that says on whose behalf a call is made.
pub const ACTOR: HeaderName = HeaderName::from_static("x-redflag-actor");
/// The header in which a REST caller names an intended change, so that it can be sent again safely.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header (and metadata key) that says that an answer is the one that was given first.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static(REPLAYED);
/// The name of that header.
pub const REPLAYED: &str = "idempotency-replayed";
/// The ledger core's own header for the API key.
pub const BLNK_KEY: HeaderName = HeaderName::from_static("x-blnk-key");

/// The most bytes of one request, as the contract says.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// The most characters that a caller's tracing id may have; a longer one is replaced.
const MAX_REQUEST_ID: usize = 128;

/// The facts of a call that are logged.
#[derive(Debug)]
pub struct CallContext {
    request_id: Arc<str>,
    key_id: OnceLock<String>,
    failure: OnceLock<Reason>,
}

impl CallContext {
    /// A call with that tracing id, whose key is not known yet.
    pub const fn new(request_id: Arc<str>) -> Self {
        Self { request_id, key_id: OnceLock::new(), failure: OnceLock::new() }
    }

    /// The tracing id.
    pub fn request_id(&self) -> &str {
        &self.request_id
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

/// Notes why the call that is being served fails, for the log.
pub fn note_failure(reason: Reason) {
    // The first error is the one that is answered; outside of a call nobody asks.
    let _ = CURRENT.try_with(|traced| traced.failure.set(reason));
}

tokio::task_local! {
    static CURRENT: Arc<CallContext>;
}

/// Serves a call so that it can be traced.
pub async fn traced<T>(traced: Arc<CallContext>, call: impl Future<Output = T>) -> T {
    CURRENT.scope(traced, call).await
}

/// The tracing id of the call that is being served; empty outside of one.
pub fn request_id() -> Arc<str> {
    CURRENT.try_with(|traced| Arc::clone(&traced.request_id)).unwrap_or_default()
}

/// The tracing id that the caller sent, or a fresh one when there is none, or one that is no visible ASCII.
#[expect(clippy::disallowed_methods, reason = "a tracing id is no data: nothing depends on which it is")]
pub fn choose_request_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable =
        |id: &&str| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    sent.filter(usable).map_or_else(|| Uuid::new_v4().to_string().into(), Into::into)
}

/// The state of a connection that admission needs; among the extensions of its requests.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// The network that it comes from, where addresses tell callers apart.
    network: Option<IpAddr>,
    /// The room for its large answers, which it shares with all others.
    answers: Answers,
    /// The organization of the first valid key that was shown.
    organization: OnceLock<OrganizationId>,
    /// Calls in work whose key is valid.
    admitted: AtomicUsize,
    /// Calls in work on the services that need no key, streams included.
    open: AtomicUsize,
}

impl Connection {
    /// A connection that has shown nothing yet, from `network` where addresses tell callers apart.
    pub fn new(answers: Answers, network: Option<IpAddr>) -> Self {
        let (organization, admitted, open) = Default::default();
        Self(Arc::new(Shown { network, answers, organization, admitted, open }))
    }

    /// The network that it comes from, where addresses tell callers apart.
    pub fn network(&self) -> Option<IpAddr> {
        self.0.network
    }

    /// The organization of the first valid key that was shown.
    pub fn organization(&self) -> Option<OrganizationId> {
        self.0.organization.get().copied()
    }

    /// How many calls are in work whose key is valid.
    pub fn admitted(&self) -> usize {
        self.0.admitted.load(Relaxed)
    }

    /// One more call on the services that need no key, for as long as it is held; `None` when `most` are in work.
    pub fn open(&self, most: usize) -> Option<Counted> {
        let counted = Counted::new(&self.0, |shown| &shown.open);
        (self.0.open.load(Relaxed) <= most).then_some(counted)
    }

    fn admit(&self, organization: OrganizationId) -> Counted {
        // Only the first is kept: a proxy may bring the calls of several.
        let _ = self.0.organization.set(organization);
        Counted::new(&self.0, |shown| &shown.admitted)
    }
}

/// Chooses one of the numbers.
type Counter = fn(&Shown) -> &AtomicUsize;

/// One more call of a kind, for as long as it is held.
#[derive(Debug)]
pub struct Counted(Arc<Shown>, Counter);

impl Counted {
    fn new(shown: &Arc<Shown>, counter: Counter) -> Self {
        counter(shown).fetch_add(1, Relaxed);
        Self(Arc::clone(shown), counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Relaxed);
    }
}

/// Lets a call pass to its method when its key is valid, with its [`Caller`] among the extensions, and bounds how long all
/// of it takes. Nothing of the body is read before.
///
/// # Errors
/// As [`Authenticator::authenticate`] and [`Answers::reserve`], and [`crate::error::Reason::DeadlineExceeded`].
pub async fn admit(
    authenticator: &Authenticator,
    limit: Duration,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let call = async {
        let caller = authenticate(authenticator, request.headers()).await?;
        let connection = request.extensions().get::<Connection>();
        let _admitted = connection.map(|connection| connection.admit(caller.organization_id()));
        let room = match (connection, answers::most_of(&request)) {
            (Some(Connection(shown)), Some(most)) => {
                Some(shown.answers.reserve(caller.organization_id(), caller.key_id(), most).await?)
            }
            _ => None,
        };
        request.extensions_mut().insert(caller);
        let mut answer = next.run(request).await;
        if let Some(room) = room {
            answers::hand(&mut answer, room);
        }
        Ok(answer)
    };
    within(limit, call).await?
}

/// Verifies who calls, from the headers that both faces share (gRPC metadata are headers).
async fn authenticate(authenticator: &Authenticator, headers: &HeaderMap) -> Result<Caller, Error> {
    let bytes = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let request_id = request_id();
    let presented = Credentials {
        authorization: bytes(http::header::AUTHORIZATION),
        blnk_key: bytes(BLNK_KEY),
        actor: bytes(ACTOR),
        request_id: &request_id,
        repeated: repeated(headers),
    };
    let caller = authenticator.authenticate(presented).await?;
    // Known once, if at all: outside of a call nobody asks.
    let _ = CURRENT.try_with(|traced| traced.key_id.set(caller.key_id()));
    Ok(caller)
}

/// The header about the caller that was given more than once, where which one counts would be a guess.
fn repeated(headers: &HeaderMap) -> Option<&'static str> {
    let once = [
        (http::header::AUTHORIZATION, "authorization"),
        (BLNK_KEY, "x-blnk-key"),
        (ACTOR, "x-redflag-actor"),
    ];
    once.into_iter().find(|(name, _)| headers.get_all(name).iter().nth(1).is_some()).map(|(_, name)| name)
}

/// Runs `call` for at most `limit`; then drops it, and with it its transaction. A single statement that a database is
/// already working on runs on for a while (docs/architecture.md).
///
/// # Errors
/// [`crate::error::Reason::DeadlineExceeded`].
pub async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(limit, call).await.map_err(|_| Error::deadline_exceeded(limit))
}
