//! A client for Rust: every call of the contract, with a deadline, retries that never change twice, and typed errors.
//!
//! ```no_run
//! use redflag::client::{Client, Options, pb};
//!
//! # async fn flag() -> Result<(), Box<dyn std::error::Error>> {
//! // REDFLAG_SERVER and REDFLAG_API_KEY say where to and with which key.
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

/// The longest time that the protocol can tell the server, with its eight digits of seconds.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(99_999_999);

/// A connection to a server, made with the first call and anew whenever it breaks. Cheap to clone; clones share it.
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
        // Not the metadata, which holds the key.
        f.debug_struct("Client").field("server", self.endpoint.uri()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server that the options name. Nothing is sent yet; needs to be made within a Tokio runtime.
    ///
    /// # Errors
    /// When an option can't be used.
    pub fn new(options: &Options) -> Result<Self, InvalidOption> {
        let endpoint = options.endpoint()?;
        let channel = endpoint.connect_lazy();
        Ok(Self { endpoint, channel, metadata: options.metadata()?, retry: options.retry() })
    }

    /// Makes a call, again where that is of use, until its deadline.
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

    /// Makes a call once, for as long as is `left`, which the server is told.
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
            // What happens on this side once time is up happens because it is.
            Err(error) if started.elapsed() >= left && !error.is_recorded() => {
                Err(Error::deadline_exceeded(self.retry.timeout))
            }
            answer => answer.map(Response::into_inner),
        }
    }
}
