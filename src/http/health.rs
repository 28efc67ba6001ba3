//! Whether the process runs and serves calls; needs no key.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};
use tokio::sync::watch;

use super::{
    openapi::NotServing,
    problem::{Problem, json},
    views::HealthView,
};
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

/// What the health calls look at.
#[derive(Clone)]
pub(super) struct Health {
    /// Whether shutdown has begun.
    pub readiness: Readiness,
    /// What serves calls.
    pub service: Service,
    /// How long the database may take to answer.
    pub timeout: Duration,
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
    json(StatusCode::OK, &HealthView { status: "ok" })
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
    call::within(health.timeout, health.service.check_ready()).await.map_err(Error::unavailable)??;
    json(StatusCode::OK, &HealthView { status: "ready" })
}
