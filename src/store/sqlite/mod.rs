//! The embedded store: SQLite with one writer, several readers, and an fsync before every answer.

mod alerts;
mod lists;
mod rows;
pub mod sql;
mod statuses;
mod store;
mod tenants;

use std::{str::FromStr, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    StoreError,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a write waits for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Alerts in an SQLite file, or in memory for trials.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the database at `url` (`sqlite:FILE` or `sqlite::memory:`) with at most `readers` reading connections. The
    /// file is made when it is missing.
    ///
    /// # Errors
    /// When the URL is malformed, the file can't be opened, or its schema does not fit.
    pub async fn open(url: &str, readers: u32, on_older: OnOlderSchema) -> Result<Self, OpenError> {
        let options = options(url)?;
        let writer = pool(1).connect_with(options.clone()).await?;
        migrate(&writer, on_older).await?;
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        // A database in memory belongs to its one connection.
        let readers = if in_memory {
            writer.clone()
        } else {
            let options = options.pragma("query_only", "ON");
            pool(readers).connect_with(options).await?
        };
        Ok(Self { writer, readers })
    }

    /// How the schema of the database at `url` compares; makes and changes nothing.
    ///
    /// # Errors
    /// When the URL is malformed or the file can't be opened.
    pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
        let options = options(url)?.create_if_missing(false);
        let pool = pool(1).connect_with(options).await?;
        let version = SchemaVersion::read(&mut *pool.acquire().await?, &MIGRATOR).await;
        pool.close().await;
        version
    }

    /// Begins a writing transaction: it holds the only writer, so nothing changes under it.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged alert survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT))
}

/// A pool whose connections stay: opening one again costs more than keeping it.
fn pool(most: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Brings the schema up to date, in one transaction: sqlx takes no lock of its own on SQLite, so two processes that
/// start at once would otherwise both migrate.
async fn migrate(writer: &SqlitePool, on_older: OnOlderSchema) -> Result<(), OpenError> {
    let version = SchemaVersion::read(&mut *writer.acquire().await?, &MIGRATOR).await?;
    if !version.needs_migration(on_older)? {
        return Ok(());
    }
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATOR.run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}
