//! The standard health service: for the whole server (`""`) and for each service by its name.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthRpc, HealthServer},
    server::{HealthReporter, HealthService},
};

use super::{
    alerts::Alerts,
    audit::Audit,
    pb::{
        alert_service_server::AlertServiceServer, alert_status_service_server::AlertStatusServiceServer,
        audit_service_server::AuditServiceServer,
    },
    statuses::Statuses,
};

/// The services that health speaks of; the empty name is the whole server.
const NAMES: [&str; 4] = [
    "",
    AlertServiceServer::<Alerts>::NAME,
    AlertStatusServiceServer::<Statuses>::NAME,
    AuditServiceServer::<Audit>::NAME,
];

/// Says how the server is: SERVING until it begins to shut down.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    /// Turns true when calls on the services that need no key must end.
    end: Arc<watch::Sender<bool>>,
}

impl Health {
    /// Health of a server that serves.
    pub async fn serving() -> Self {
        let health = Self { reporter: HealthReporter::new(), end: Arc::new(watch::Sender::new(false)) };
        health.set(ServingStatus::Serving).await;
        health
    }

    /// Turns NOT_SERVING; whoever watches is told.
    pub async fn stop(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    /// Ends the streams of whoever watches, and what else is open without a key, so that they don't hold up the shutdown.
    pub async fn end_open_calls(&self) {
        self.end.send_replace(true);
        let mut reporter = self.reporter.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
    }

    /// Turns true when calls on the services that need no key must end.
    pub(super) fn end(&self) -> watch::Receiver<bool> {
        self.end.subscribe()
    }

    /// The service to route to.
    pub(super) fn service(&self) -> HealthServer<impl HealthRpc> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    async fn set(&self, status: ServingStatus) {
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
