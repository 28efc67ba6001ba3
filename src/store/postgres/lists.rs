//! Reading alerts: pages and totals.

use sqlx::{Postgres, QueryBuilder};

use super::{PostgresStore, connections::Use, rows::take_page};
use crate::{
    domain::{Alert, AlertQuery, Page},
    store::{
        StoreError,
        listing::{self, Part},
        rows::{ALERT_COLUMNS, AlertRow},
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
        let mut page_statement = statement(&listing::page(query, ALERT_COLUMNS));
        let page_query = page_statement.build_query_as::<AlertRow>().persistent(PREPARED);
        let rows = page_query.fetch(&mut lent);
        let mut page = take_page(rows, query.size).await?;
        if query.include_total {
            let total = statement(&listing::total(query))
                .build_query_scalar()
                .persistent(PREPARED)
                .fetch_one(&mut lent)
                .await?;
            page.total = Some(total);
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
        let mut explained = statement(&explained);
        Ok(explained.build_query_scalar().persistent(PREPARED).fetch_all(&mut lent).await?)
    }
}

/// The parts as a statement; values are bound.
fn statement(parts: &[Part]) -> QueryBuilder<Postgres> {
    let mut builder = QueryBuilder::new("");
    for part in parts {
        match part {
            Part::Sql(sql) => builder.push(sql),
            // PostgreSQL takes no hints; its statistics lead it to the same index.
            Part::Index(_) => &mut builder,
            Part::Limit(limit) => builder.push(limit),
            Part::Uuid(uuid) => builder.push_bind(*uuid),
            Part::Text(text) => builder.push_bind(text.clone()),
            Part::Code(code) => builder.push_bind(*code),
            Part::Time(time) => builder.push_bind(*time),
        };
    }
    builder
}
