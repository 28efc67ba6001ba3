//! The embedded store: SQLite with one writer, several readers, and an fsync before every answer.

mod changes;
mod events;
mod lists;
mod memory;
mod rows;
pub mod sql;
mod statuses;
mod store;
mod tenants;

use std::{path::PathBuf, str::FromStr, time::Duration};

use sqlx::{
    Connection, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    StoreError,
    connect::Options,
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
    /// Where it is kept, unless in memory.
    file: Option<PathBuf>,
}

impl SqliteStore {
    /// Checks that `url` is well-formed.
    ///
    /// # Errors
    /// [`OpenError::Url`].
    pub fn check_url(url: &str) -> Result<(), OpenError> {
        connect_options(url).map(drop)
    }

    /// Opens the database at `url` (`sqlite:FILE` or `sqlite::memory:`). The file is made when it is missing, unless an
    /// empty database would be refused anyway.
    ///
    /// # Errors
    /// When the URL is malformed, the file can't be opened, or its schema does not fit.
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let connect = connect_options(url)?;
        if options.on_older == OnOlderSchema::Refuse && is_missing(url, &connect) {
            SchemaVersion::none(&MIGRATOR).needs_migration(options.on_older)?;
        }
        if is_in_memory(url) {
            return Self::open_in_memory(connect, options).await;
        }
        let file = Some(connect.get_filename().to_owned());
        let writer = pool(1).before_acquire(|connection, _| {
            // Where SQLite has rolled back by itself, as when the disk is full, sqlx still counts a transaction and would
            // begin no other: such a connection is replaced.
            let usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(usable) })
        });
        let writer = writer.connect_with(connect.clone()).await?;
        migrate(&writer, options.on_older).await?;
        let readers = pool(options.connections).connect_with(connect.pragma("query_only", "ON")).await?;
        Ok(Self { writer, readers, file })
    }

    /// A database in memory belongs to its one connection, and ends with it.
    async fn open_in_memory(connect: SqliteConnectOptions, options: Options) -> Result<Self, OpenError> {
        let writer = pool(1).connect_with(connect).await?;
        migrate(&writer, options.on_older).await?;
        Ok(Self { readers: writer.clone(), writer, file: None })
    }

    /// How the schema of the database at `url` compares; makes and changes nothing.
    ///
    /// # Errors
    /// When the URL is malformed or the file can't be opened.
    pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
        let file = connect_options(url)?.create_if_missing(false);
        if is_missing(url, &file) {
            return Ok(SchemaVersion::none(&MIGRATOR));
        }
        let pool = pool(1).connect_with(file).await?;
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

fn connect_options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
    if options.get_filename().as_os_str().is_empty() {
        return Err(OpenError::Url("the database URL names no file: write sqlite:FILE".to_owned()));
    }
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged alert survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT))
}

fn is_in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

fn is_missing(url: &str, file: &SqliteConnectOptions) -> bool {
    !is_in_memory(url) && !file.get_filename().exists()
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
