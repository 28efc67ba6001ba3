//! The standard health service, for the whole server (`""`) and for each service by its name.

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

/// The services with a health status; the empty name is the whole server.
const NAMES: [&str; 4] = [
    "",
    AlertServiceServer::<Alerts>::NAME,
    AlertStatusServiceServer::<Statuses>::NAME,
    AuditServiceServer::<Audit>::NAME,
];

/// The server's health: SERVING until shutdown begins.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    /// Turns true when open calls without a key must end.
    end: Arc<watch::Sender<bool>>,
}

impl Health {
    /// Makes the health of a serving server.
    pub async fn serving() -> Self {
        let health = Self { reporter: HealthReporter::new(), end: Arc::new(watch::Sender::new(false)) };
        health.set(ServingStatus::Serving).await;
        health
    }

    /// Turns NOT_SERVING, and notifies watchers.
    pub async fn stop(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    /// Ends watches and other open calls without a key, which would delay the shutdown.
    pub async fn end_open_calls(&self) {
        self.end.send_replace(true);
        let mut reporter = self.reporter.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
    }

    /// Returns the signal that turns true when open calls without a key must end.
    pub(super) fn end(&self) -> watch::Receiver<bool> {
        self.end.subscribe()
    }

    /// Makes the service to route to.
    pub(super) fn service(&self) -> HealthServer<impl HealthRpc> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    async fn set(&self, status: ServingStatus) {
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
