//! Reading alerts by key: look-ups that arrive while others are on their way share the next statement.

use std::collections::HashMap;

use sqlx::PgPool;

use super::{
    PostgresStore,
    lanes::{self, Serve, Served},
    sql,
};
use crate::{
    domain::{Alert, AnomalyId, OrganizationId},
    store::{StoreError, rows::AlertRow},
};

type Key = (OrganizationId, AnomalyId);

impl PostgresStore {
    pub(super) async fn select_alert(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
    ) -> Result<Option<Alert>, StoreError> {
        match lanes::ask(&self.lookups, (organization, id)).await {
            Err(error @ StoreError::Busy) => Err(StoreError::Unavailable(error.into())),
            found => found,
        }
    }
}

/// Reads alerts, a batch at a time.
pub struct Finder(pub PgPool);

impl Serve<Key, Option<Alert>> for Finder {
    async fn serve(&self, asked: Vec<Key>) -> Result<Vec<Served<Option<Alert>>>, StoreError> {
        let organizations: Vec<_> = asked.iter().map(|(organization, _)| organization.uuid()).collect();
        let ids: Vec<_> = asked.iter().map(|(_, id)| id.uuid()).collect();
        let query = sqlx::query_as(sql::SELECT_ALERTS).bind(organizations).bind(ids);
        let rows: Vec<AlertRow> = query.fetch_all(&self.0).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let alert = Alert::try_from(row)?;
            found.insert((alert.organization_id, alert.id), alert);
        }
        // Several may ask for the same alert.
        Ok(asked.iter().map(|key| Served::Now(Ok(found.get(key).cloned()))).collect())
    }
}
