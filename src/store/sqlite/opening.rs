//! Opening the connections of a database, and bringing its schema up to date.

use std::{io, path::Path, str::FromStr, sync::Arc};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use super::{
    MIGRATOR,
    checkpoints::{self, Checkpoints},
    condition,
    file::{self, BUSY_TIMEOUT, DatabaseFile, Identity, cannot_use},
    lock::DatabaseLock,
    sql,
};
use crate::store::{
    options::Sharing,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
};

/// After how many pages (of 4 KiB) in the write-ahead log every commit moves what it can by itself, should `checkpoints.rs` not
/// keep up.
const CHECKPOINT_PAGES: i64 = 64_000;
/// How many bytes of the write-ahead log's file stay when it begins anew: twice of what it grows to while nobody reads for long.
const KEPT_LOG: i64 = 64 * 1024 * 1024;
/// How much of the database the writer keeps in memory: the ends of all indexes, where new rows go. More does not pay: after
/// most commits to a database of less than 1 GiB, SQLite looks through the whole cache.
const WRITER_CACHE_KIB: i64 = 16_384;
/// How many prepared statements a connection keeps: all that are fixed, and the lists asked for last.
pub const STATEMENTS: usize = 128;

/// Opens the one connection that writes.
pub fn open_writing(connect: &SqliteConnectOptions, in_memory: bool) -> Result<Connection, OpenError> {
    // Shared with the connection that migrates.
    let flags = if in_memory {
        OpenFlags::SQLITE_OPEN_MEMORY | OpenFlags::SQLITE_OPEN_SHARED_CACHE
    } else {
        OpenFlags::empty()
    };
    let conn = open_connection(connect, flags)?;
    // SQLite opens what it may only read, without a word.
    if conn.is_readonly(rusqlite::MAIN_DB)? {
        let told = format!("{} is read-only: it must be writable", connect.get_filename().display());
        return Err(OpenError::Unreachable(told));
    }
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged alert survives a power cut.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", KEPT_LOG)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    Ok(conn)
}

/// Opens a connection that reads.
pub fn open_reading(connect: &SqliteConnectOptions) -> Result<Connection, OpenError> {
    let conn = open_connection(connect, OpenFlags::empty())?;
    conn.pragma_update(None, "query_only", true)?;
    checkpoints::leave_log_at_close(&conn)?;
    Ok(conn)
}

/// Starts the checkpoints on a connection of their own.
pub fn start_checkpoints(
    connect: &SqliteConnectOptions,
    file: &Arc<DatabaseFile>,
) -> Result<Checkpoints, OpenError> {
    let conn = open_connection(connect, OpenFlags::empty())?;
    checkpoints::leave_log_at_close(&conn)?;
    Checkpoints::start(conn, Arc::clone(file)).map_err(|error| OpenError::Unreachable(error.to_string()))
}

/// Makes the file if there is none, locks it, and tells which it is from then on.
pub fn prepare_file(path: &Path, sharing: Sharing) -> Result<(DatabaseLock, Identity), OpenError> {
    let unusable = |error: io::Error| cannot_use(path, &error);
    file::make_private(path).map_err(unusable)?;
    let lock = DatabaseLock::take(path, sharing)?;
    if sharing == Sharing::Alone {
        let real = path.canonicalize().map_err(unusable)?;
        file::close_to_others(&real);
        condition::remove_left_file(&real);
    }
    Ok((lock, Identity::of(path).map_err(unusable)?))
}

fn open_connection(connect: &SqliteConnectOptions, more: OpenFlags) -> Result<Connection, OpenError> {
    let flags = more
        | OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(connect.get_filename(), flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// How the schema compares, without asking sqlx, whose connection takes longer to open than all else at a start.
pub fn schema_version(conn: &Connection) -> Result<SchemaVersion, rusqlite::Error> {
    let none = SchemaVersion::none(&MIGRATOR);
    if conn.query_row(sql::HAS_MIGRATIONS, (), |_| Ok(())).optional()?.is_none() {
        return Ok(none);
    }
    let found = conn.query_row(sql::SELECT_VERSION, (), |row| row.get(0))?;
    Ok(SchemaVersion { found, ..none })
}

/// Reads a URL.
///
/// # Errors
/// [`OpenError::Url`].
pub fn connect_options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
    if options.get_filename().as_os_str().is_empty() {
        return Err(OpenError::Url("the database URL names no file: write sqlite:FILE".to_owned()));
    }
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT))
}

/// Returns true where a URL names a database in memory.
pub fn is_in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// Returns true where a URL names a file that is missing.
pub fn is_missing(url: &str, file: &SqliteConnectOptions) -> bool {
    !is_in_memory(url) && !file.get_filename().exists()
}

/// Brings the schema up to date, in one transaction: sqlx takes no lock of its own on SQLite, so two processes that
/// start at once would otherwise both migrate.
pub async fn migrate(connect: &SqliteConnectOptions, on_older: OnOlderSchema) -> Result<(), OpenError> {
    let mut conn = SqliteConnection::connect_with(connect).await?;
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    // Another process may have been first.
    if SchemaVersion::read(&mut *transaction, &MIGRATOR).await?.needs_migration(on_older)? {
        MIGRATOR.run(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(conn.close().await?)
}
