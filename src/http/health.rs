//! Whether the process runs and serves calls; needs no key.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode, response::Response};
use moka::future::Cache;
use tokio::sync::watch;

use super::{answer, openapi::NotServing, problem::Problem, views::HealthView};
use crate::{
    call,
    error::{Error, Reason},
    service::Service,
};

/// Tells whether the service is shutting down.
#[derive(Debug, Clone)]
pub struct Readiness(watch::Receiver<bool>);

impl Readiness {
    /// Readiness as `shutting_down` tells it: true once shutdown has begun.
    pub const fn new(shutting_down: watch::Receiver<bool>) -> Self {
        Self(shutting_down)
    }

    fn check(&self) -> Result<(), Error> {
        if *self.0.borrow() {
            return Err(Error::new(Reason::Unavailable, "the service is shutting down"));
        }
        Ok(())
    }
}

/// How long it is believed that the database answers.
const BELIEVED: Duration = Duration::from_secs(1);

/// What the health calls look at.
#[derive(Clone)]
pub(super) struct Health {
    readiness: Readiness,
    service: Service,
    timeout: Duration,
    /// Holds its one entry while it is believed that the database answers; whoever asks meanwhile costs it nothing.
    ready: Cache<(), ()>,
}

impl Health {
    /// Health of `service`, whose database may take `timeout` to answer, until `readiness` tells that shutdown has begun.
    pub fn new(readiness: Readiness, service: Service, timeout: Duration) -> Self {
        let ready = Cache::builder().max_capacity(1).time_to_live(BELIEVED).build();
        Self { readiness, service, timeout, ready }
    }

    /// Asks the database, once for all who wait for its answer.
    async fn check_database(&self) -> Result<(), Error> {
        let check = async {
            call::within(self.timeout, self.service.check_ready()).await.map_err(Error::unavailable)?
        };
        self.ready.try_get_with((), check).await.map_err(|error: Arc<Error>| error.shared())
    }
}

/// Whether the process runs
///
/// Turns 503 as soon as shutdown begins.
#[utoipa::path(
    get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "It runs.", body = HealthView), NotServing),
)]
pub(super) async fn healthz(State(health): State<Health>) -> Result<Response, Problem> {
    health.readiness.check()?;
    Ok(answer::json(StatusCode::OK, &HealthView { status: "ok" })?)
}

/// Whether the service serves calls
///
/// The database answers and has the right schema. Turns 503 as soon as shutdown begins.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "It serves calls.", body = HealthView), NotServing),
)]
pub(super) async fn readyz(State(health): State<Health>) -> Result<Response, Problem> {
    health.readiness.check()?;
    health.check_database().await?;
    Ok(answer::json(StatusCode::OK, &HealthView { status: "ready" })?)
}
