//! Reading alerts by key: look-ups that arrive while others are on their way share the next statement.

use std::collections::{HashMap, HashSet};

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
    const IS_PATIENT: bool = true;

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
        // Where several ask for the same alert, each needs its own.
        let are_distinct = asked.iter().collect::<HashSet<_>>().len() == asked.len();
        let mut take = |key| if are_distinct { found.remove(key) } else { found.get(key).cloned() };
        Ok(asked.iter().map(|key| Served::Now(Ok(take(key)))).collect())
    }
}
