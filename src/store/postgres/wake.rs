//! Notifications by `LISTEN` and `NOTIFY`. They are sent apart from the transactions that they tell of: within one, all
//! commits of the database would wait for each other.

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};
use uuid::Uuid;

use super::{PostgresStore, connections::Use, sql};
use crate::{
    domain::OrganizationId,
    store::{Notifications, StoreError, WakeStore},
};

/// The channel; the payload is the organization's UUID.
const CHANNEL: &str = "redflag_events";

#[async_trait]
impl WakeStore for PostgresStore {
    /// On a connection of its own.
    async fn listen(&self) -> Result<Box<dyn Notifications>, StoreError> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.servers.present());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Box::new(Listening(listener)))
    }

    async fn notify(&self, organizations: &[OrganizationId]) -> Result<(), StoreError> {
        let payloads: Vec<_> =
            organizations.iter().map(|organization| organization.uuid().to_string()).collect();
        let mut lent = self.connections.lend(Use::Background).await?;
        sqlx::query(sql::NOTIFY).bind(CHANNEL).bind(payloads).execute(&mut lent).await?;
        Ok(())
    }
}

struct Listening(PgListener);

#[async_trait]
impl Notifications for Listening {
    async fn next(&mut self) -> Result<OrganizationId, StoreError> {
        loop {
            let notification = self.0.try_recv().await?;
            let lost = || StoreError::Unavailable("the connection that listens was lost".into());
            let payload = notification.ok_or_else(lost)?;
            // Anybody may write to the channel.
            if let Ok(organization) = Uuid::parse_str(payload.payload()) {
                return Ok(OrganizationId::from_uuid(organization));
            }
        }
    }
}
