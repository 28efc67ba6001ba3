//! Reading alerts: pages and totals.

use sqlx::AssertSqlSafe;

use super::{
    PostgresStore,
    connections::Use,
    rows::{Decoded, arguments, take_page},
};
use crate::{
    domain::{Alert, AlertQuery, Page},
    store::{
        StoreError,
        shared::{
            listing,
            part::{self, Part},
            rows::alert::{ALERT_COLUMNS, AlertRow},
        },
    },
};

/// Lists are planned for their values each time. The plan that PostgreSQL keeps for a statement after some executions
/// knows no values: it takes the few alerts within a span of time for many, and skims past all others to find them. And
/// the texts of lists are so many that they would crowd the statements of other calls out of the cache.
const PREPARED: bool = false;

impl PostgresStore {
    pub(super) async fn select_page(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        self.connections.patiently(Use::Lists(query.organization_id), |_| self.try_select_page(query)).await
    }

    async fn try_select_page(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        let mut lent = self.connections.lend(Use::Lists(query.organization_id)).await?;
        let (sql, values) = part::statement(&listing::page(query, ALERT_COLUMNS), false);
        let rows = sqlx::query_as_with::<_, Decoded<AlertRow>, _>(AssertSqlSafe(sql), arguments(values)?);
        let mut page = take_page(rows.persistent(PREPARED).fetch(&mut lent), query.size).await?;
        if query.include_total {
            let (sql, values) = part::statement(&listing::total(query), false);
            let total = sqlx::query_scalar_with(AssertSqlSafe(sql), arguments(values)?);
            page.total = Some(total.persistent(PREPARED).fetch_one(&mut lent).await?);
        }
        Ok(page)
    }

    /// How PostgreSQL runs the statements of a list, a line for each step with the rows it saw: of the page, then of the
    /// total.
    ///
    /// # Errors
    /// When the statements fail.
    #[doc(hidden)]
    pub async fn explain_list(&self, query: &AlertQuery) -> Result<[Vec<String>; 2], StoreError> {
        Ok([
            self.explain(query, &listing::page(query, ALERT_COLUMNS)).await?,
            self.explain(query, &listing::total(query)).await?,
        ])
    }

    async fn explain(&self, query: &AlertQuery, parts: &[Part]) -> Result<Vec<String>, StoreError> {
        let explained: Vec<_> = [Part::Sql("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, COSTS OFF) ")]
            .iter()
            .chain(parts)
            .cloned()
            .collect();
        let mut lent = self.connections.lend(Use::Lists(query.organization_id)).await?;
        let (sql, values) = part::statement(&explained, false);
        let explained = sqlx::query_scalar_with(AssertSqlSafe(sql), arguments(values)?);
        Ok(explained.persistent(PREPARED).fetch_all(&mut lent).await?)
    }
}
