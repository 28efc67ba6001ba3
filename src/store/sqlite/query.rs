//! Running prepared statements, which the connection keeps.

use rusqlite::{Connection, Params, params_from_iter};

use super::SqliteStore;
use crate::{
    domain::{EstimatedSize, OrganizationId, Page, PageSize},
    store::{
        StoreError,
        shared::{
            database::{Database, Purpose, Statement},
            page::PageReader,
            row::{Decode, Table},
        },
    },
};

/// Runs a statement; tells how many rows it changed.
pub fn execute(conn: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    conn.prepare_cached(sql)?.execute(params)
}

/// Runs a statement that takes all values of a row.
pub fn write<T: Table>(conn: &Connection, sql: &str, row: &T) -> rusqlite::Result<()> {
    execute(conn, sql, params_from_iter(row.values())).map(drop)
}

/// The first row, if there is one.
pub fn optional<K: Decode>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Option<K::Entity>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let row = rows.next()?.map(|row| K::decode(row, 0)).transpose()?;
    Ok(row.map(K::Entity::try_from).transpose()?)
}

/// The value of the only row.
pub fn value<T: rusqlite::types::FromSql>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<T, StoreError> {
    Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}

/// All rows.
fn all<K: Decode>(conn: &Connection, sql: &str, params: impl Params) -> Result<Vec<K::Entity>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(K::Entity::try_from(K::decode(row, 0)?)?);
    }
    Ok(found)
}

/// Rows until the page is full.
pub fn page<K: Decode>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    size: PageSize,
) -> Result<Page<K::Entity>, StoreError>
where
    K::Entity: EstimatedSize,
{
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut reader = PageReader::new(size);
    while reader.wants_more() {
        let Some(row) = rows.next()? else { break };
        reader.take(K::decode(row, 0).map_err(StoreError::from))?;
    }
    Ok(reader.finish())
}

impl SqliteStore {
    async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        run: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match purpose {
            Purpose::List(organization) => self.read_for(organization, run).await,
            Purpose::LookUp(_) => self.look_up(run).await,
            Purpose::Background => self.read_for(OrganizationId::NONE, run).await,
            Purpose::Change(_) | Purpose::Administration => self.write(move |batch| run(batch.conn)).await,
        }
    }
}

impl Database for SqliteStore {
    async fn optional<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        Statement { sql, values }: Statement,
    ) -> Result<Option<K::Entity>, StoreError> {
        self.run(purpose, move |conn| optional::<K>(conn, sql, params_from_iter(&values))).await
    }

    async fn all<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        Statement { sql, values }: Statement,
    ) -> Result<Vec<K::Entity>, StoreError> {
        self.run(purpose, move |conn| all::<K>(conn, sql, params_from_iter(&values))).await
    }

    async fn page<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        size: PageSize,
        Statement { sql, values }: Statement,
    ) -> Result<Page<K::Entity>, StoreError>
    where
        K::Entity: EstimatedSize,
    {
        self.run(purpose, move |conn| page::<K>(conn, sql, params_from_iter(&values), size)).await
    }
}
