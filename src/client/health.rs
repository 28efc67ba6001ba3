//! The standard health check, which needs no key.

use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{Client, Error};

pub use tonic_health::pb::health_check_response::ServingStatus;

impl Client {
    /// Checks the health of a service by its full name, such as `redflag.v1.AlertService`; an empty name is the whole server.
    ///
    /// # Errors
    /// `NOT_FOUND` for a service that the server does not have; `UNAVAILABLE` when the server can't be reached.
    pub async fn check_health(&self, service: &str) -> Result<ServingStatus, Error> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = self
            .call(request, |channel, request| async move { HealthClient::new(channel).check(request).await });
        Ok(answer.await?.status())
    }
}
