//! Reading alerts: pages and totals.

use rusqlite::params_from_iter;

use super::{SqliteStore, query};
use crate::{
    domain::{Alert, AlertQuery, Page},
    store::{
        StoreError,
        shared::{
            listing,
            part::{self, Part},
            rows::alert::{ALERT_COLUMNS, AlertRow},
            value::Value,
        },
    },
};

impl SqliteStore {
    pub(super) async fn select_page(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        let size = query.size;
        let (sql, values) = statement(&listing::page(query, ALERT_COLUMNS));
        let total = query.include_total.then(|| statement(&listing::total(query)));
        self.read_for(query.organization_id, move |conn| {
            let mut page = query::page::<AlertRow>(conn, &sql, params_from_iter(&values), size)?;
            if let Some((sql, values)) = &total {
                page.total = Some(query::value(conn, sql, params_from_iter(values))?);
            }
            Ok(page)
        })
        .await
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
        let (sql, values) = statement(&explained);
        self.read(move |conn| {
            let mut statement = conn.prepare(&sql)?;
            let steps = statement.query_map(params_from_iter(&values), |row| row.get(3))?;
            Ok(steps.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn statement(parts: &[Part]) -> (String, Vec<Value<'static>>) {
    part::statement(parts, true)
}
