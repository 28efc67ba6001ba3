//! Reading alerts: pages and totals.

use rusqlite::{params_from_iter, types::Value};

use super::{SqliteStore, query, rows};
use crate::{
    domain::{Alert, AlertQuery, Page},
    store::{
        StoreError,
        listing::{self, Part},
        rows::ALERT_COLUMNS,
    },
};

impl SqliteStore {
    pub(super) async fn select_page(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        let size = query.size;
        let page = Statement::of(&listing::page(query, ALERT_COLUMNS));
        let total = query.include_total.then(|| Statement::of(&listing::total(query)));
        self.read_for(query.organization_id, move |conn| {
            let mut page = query::page(conn, &page.sql, params_from_iter(&page.values), size, rows::alert)?;
            let count = |total: &Statement| query::value(conn, &total.sql, params_from_iter(&total.values));
            page.total = total.as_ref().map(count).transpose()?;
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
        let explained = Statement::of(&explained);
        self.read(move |conn| {
            let mut statement = conn.prepare(&explained.sql)?;
            let steps = statement.query_map(params_from_iter(&explained.values), |row| row.get(3))?;
            Ok(steps.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// A statement that was composed, and the values to bind.
#[derive(Default)]
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn of(parts: &[Part]) -> Self {
        let mut statement = Self::default();
        for part in parts {
            statement.push(part);
        }
        statement
    }

    fn push(&mut self, part: &Part) {
        match part {
            Part::Sql(sql) => self.sql.push_str(sql),
            Part::Index(index) => self.sql.extend([" INDEXED BY ", index]),
            Part::Limit(limit) => self.sql.push_str(&limit.to_string()),
            Part::Uuid(uuid) => self.bind(uuid.as_bytes().to_vec()),
            Part::Text(text) => self.bind(text.clone()),
            Part::Code(code) => self.bind(i64::from(*code)),
            Part::Time(time) => self.bind(time.timestamp_micros()),
        }
    }

    fn bind(&mut self, value: impl Into<Value>) {
        self.sql.push('?');
        self.values.push(value.into());
    }
}
