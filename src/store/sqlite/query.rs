//! Running prepared statements, which the connection keeps.

use rusqlite::{Connection, Params, Row};

use crate::{
    domain::{EstimatedSize, Page, PageSize},
    store::{Inconsistent, StoreError, rows::PageReader},
};

/// Runs a statement; tells how many rows it changed.
pub fn execute(conn: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    conn.prepare_cached(sql)?.execute(params)
}

/// The first row, if there is one.
pub fn optional<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    decode: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(decode).transpose()
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
pub fn all<Kept, T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    decode: impl Fn(&Row<'_>) -> Result<Kept, StoreError>,
) -> Result<Vec<T>, StoreError>
where
    T: TryFrom<Kept>,
    StoreError: From<T::Error>,
{
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(T::try_from(decode(row)?)?);
    }
    Ok(found)
}

/// Rows until the page is full.
pub fn page<Kept, T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    size: PageSize,
    decode: impl Fn(&Row<'_>) -> Result<Kept, StoreError>,
) -> Result<Page<T>, StoreError>
where
    T: TryFrom<Kept, Error = Inconsistent> + EstimatedSize,
{
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut reader = PageReader::new(size);
    while reader.wants_more() {
        let Some(row) = rows.next()? else { break };
        reader.take(decode(row))?;
    }
    Ok(reader.finish())
}
