//! Reading alerts: pages and totals.

use sqlx::{QueryBuilder, Sqlite};

use super::SqliteStore;
use crate::{
    domain::{Alert, AlertQuery, Page},
    store::{
        StoreError,
        listing::{self, Part},
        rows::{ALERT_COLUMNS, AlertRow, take_page},
    },
};

impl SqliteStore {
    pub(super) async fn select_page(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        let mut reader = self.reader().await?;
        let mut page_statement = statement(&listing::page(query, ALERT_COLUMNS));
        let rows = page_statement.build_query_as::<AlertRow>().fetch(&mut *reader);
        let mut page = take_page(rows, query.size).await?;
        if query.include_total {
            let total =
                statement(&listing::total(query)).build_query_scalar().fetch_one(&mut *reader).await?;
            page.total = Some(total);
        }
        Ok(page)
    }

    /// How SQLite would run the statements of a list, a line for each step: of the page, then of the total.
    ///
    /// # Errors
    /// When the statements can't be prepared.
    #[doc(hidden)]
    pub async fn explain_list(&self, query: &AlertQuery) -> Result<[Vec<String>; 2], StoreError> {
        Ok([
            self.explain(&listing::page(query, ALERT_COLUMNS)).await?,
            self.explain(&listing::total(query)).await?,
        ])
    }

    async fn explain(&self, parts: &[Part]) -> Result<Vec<String>, StoreError> {
        let explained: Vec<_> = [Part::Sql("EXPLAIN QUERY PLAN ")].iter().chain(parts).cloned().collect();
        let mut reader = self.reader().await?;
        let steps: Vec<(i64, i64, i64, String)> =
            statement(&explained).build_query_as().fetch_all(&mut *reader).await?;
        Ok(steps.into_iter().map(|(.., step)| step).collect())
    }
}

/// The parts as a statement; values are bound.
fn statement(parts: &[Part]) -> QueryBuilder<Sqlite> {
    let mut builder = QueryBuilder::new("");
    for part in parts {
        match part {
            Part::Sql(sql) => builder.push(sql),
            Part::Index(index) => builder.push(" INDEXED BY ").push(index),
            Part::Limit(limit) => builder.push(limit),
            Part::Uuid(uuid) => builder.push_bind(*uuid),
            Part::Text(text) => builder.push_bind(text.clone()),
            Part::Code(code) => builder.push_bind(*code),
            Part::Time(time) => builder.push_bind(time.timestamp_micros()),
        };
    }
    builder
}
