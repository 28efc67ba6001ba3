//! A client for Rust: every call of the contract, with a deadline, retries that never change twice, and typed errors.
//!
//! ```no_run
//! use redflag::client::{Client, Options, pb};
//!
//! # async fn flag() -> Result<(), Box<dyn std::error::Error>> {
//! // REDFLAG_SERVER and REDFLAG_API_KEY name the server and the key.
//! let client = Client::new(&Options::from_env()?)?;
//! let request = pb::FlagEntityRequest {
//!     entity_id: "bln_20f02af6".to_owned(),
//!     description: "Balance threshold exceeded".to_owned(),
//!     ..Default::default()
//! };
//! match client.flag_entity(request).await {
//!     Ok(flagged) => println!("{}", flagged.alert.unwrap_or_default().anomaly_id),
//!     Err(error) if error.reason() == Some("ALERT_INVALID_ENTITY_ID") => println!("no such kind of entity"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```

mod alerts;
mod audit;
mod error;
mod health;
pub mod json;
mod mutation;
mod options;
mod retry;
mod statuses;

use std::{
    fmt,
    time::{Duration, Instant},
};

use tonic::{
    Extensions, Request, Response, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

pub use crate::grpc::pb;
pub use error::{Error, FieldViolation};
pub use health::ServingStatus;
pub use options::{InvalidOption, Options};
pub use prost_types::{FieldMask, Struct, Timestamp, Value};
pub use secrecy::SecretString;
pub use tonic::Code;

use retry::Retry;

/// The longest `grpc-timeout` in seconds: eight digits.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(99_999_999);

/// A connection to a server, opened by the first call and reopened when it breaks. Cheap to clone; clones share it.
///
/// Every method can fail with [`Error`], for the reasons that the contract names at the call of the same name.
#[derive(Clone)]
pub struct Client {
    endpoint: Endpoint,
    channel: Channel,
    metadata: MetadataMap,
    retry: Retry,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The metadata is left out: it holds the key.
        f.debug_struct("Client").field("server", self.endpoint.uri()).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client, within a Tokio runtime. Connects later, with the first call.
    ///
    /// # Errors
    /// When an option is invalid.
    pub fn new(options: &Options) -> Result<Self, InvalidOption> {
        let endpoint = options.endpoint()?;
        let channel = endpoint.connect_lazy();
        Ok(Self { endpoint, channel, metadata: options.metadata()?, retry: options.retry() })
    }

    /// Makes a call, with retries until its deadline.
    async fn call<M: Clone, A, F>(
        &self,
        message: M,
        send: impl Fn(Channel, Request<M>) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let started = Instant::now();
        let left = || self.retry.timeout.saturating_sub(started.elapsed());
        let mut attempt = 1;
        loop {
            let answer = self.attempt(message.clone(), &send, left()).await;
            let Err(error) = answer else { return answer };
            let Some(pause) = self.retry.pause(attempt, &error).filter(|pause| *pause < left()) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Makes a call once, with the time `left` as its deadline on both sides.
    async fn attempt<M, A, F>(
        &self,
        message: M,
        send: &impl Fn(Channel, Request<M>) -> F,
        left: Duration,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let started = Instant::now();
        let mut request = Request::from_parts(self.metadata.clone(), Extensions::default(), message);
        request.set_timeout(left.min(LONGEST_TIMEOUT));
        let Ok(answer) = tokio::time::timeout(left, send(self.channel.clone(), request)).await else {
            return Err(Error::deadline_exceeded(self.retry.timeout));
        };
        match answer.map_err(|status| Error::from_status(&status)) {
            // A local failure at the deadline is a consequence of the deadline.
            Err(error) if started.elapsed() >= left && !error.is_from_server() => {
                Err(Error::deadline_exceeded(self.retry.timeout))
            }
            answer => answer.map(Response::into_inner),
        }
    }
}
