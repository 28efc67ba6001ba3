//! Health checks of REST, without a key: `/healthz` for the process, `/readyz` for the service.

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

/// Turns false when shutdown begins.
#[derive(Debug, Clone)]
pub struct Readiness(watch::Receiver<bool>);

impl Readiness {
    /// Follows `shutting_down`, which turns true when shutdown begins.
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

/// The time for which a successful check of the database is reused.
const CHECK_TTL: Duration = Duration::from_secs(1);

/// The state of the health checks.
#[derive(Clone)]
pub(super) struct Health {
    readiness: Readiness,
    service: Service,
    timeout: Duration,
    /// Holds an entry for [`CHECK_TTL`] after a successful check, so that frequent probes don't load the database.
    ready: Cache<(), ()>,
}

impl Health {
    /// Checks `service` for at most `timeout`, until `readiness` says that shutdown has begun.
    pub fn new(readiness: Readiness, service: Service, timeout: Duration) -> Self {
        let ready = Cache::builder().max_capacity(1).time_to_live(CHECK_TTL).build();
        Self { readiness, service, timeout, ready }
    }

    /// Checks the database; concurrent probes share one check.
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
