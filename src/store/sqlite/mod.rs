//! The embedded store: SQLite with one writer, several readers, and an fsync before every answer.
//!
//! The URL is read and the schema migrated by sqlx, as on PostgreSQL; all else goes through rusqlite, because in sqlx every
//! row and every statement crosses a channel (`docs/decisions/0003-group-commit.md`).

mod adoption;
mod backup;
mod changes;
mod checkpoints;
pub mod codes;
mod condition;
mod file;
mod idempotency_keys;
mod keys;
mod lists;
mod lock;
mod opening;
mod organizations;
mod query;
mod read_only;
mod readers;
mod restore;
mod rows;
pub mod sql;
mod statuses;
mod swap;
mod wake;
mod writer;

use std::{io, path::Path, sync::Arc};

use async_trait::async_trait;
use rusqlite::Connection;
use sqlx::{migrate::Migrator, sqlite::SqliteConnectOptions};

use self::{
    condition::Condition,
    file::{DatabaseFile, cannot_use},
    opening::{
        connect_options, is_in_memory, is_missing, migrate, open_reading, open_writing, prepare_file,
        schema_version, start_checkpoints,
    },
    read_only::Immutable,
    readers::Readers,
    writer::{Batch, Writer},
};
pub use restore::{Restore, Restored};

use super::{
    Commits, Store, StoreError,
    options::{Options, Sharing},
    queue::{GroupCommit, Load},
    schema::{OnOlderSchema, OpenError, SchemaVersion},
};
use crate::domain::OrganizationId;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Alerts in an SQLite file, or in memory for trials.
pub struct SqliteStore {
    writer: Writer,
    /// None in memory: such a database belongs to its one connection.
    reading: Option<ReadPools>,
    /// The files, unless it is in memory.
    file: Option<Arc<DatabaseFile>>,
    condition: Condition,
    /// Set where nobody else was at work on it, and it is only read.
    immutable: Option<Immutable>,
}

/// The connections that read.
struct ReadPools {
    /// For what may take a while.
    lists: Arc<Readers>,
    /// For look-ups by key, one for each thread that may run one.
    lookups: Arc<Readers>,
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
        let in_memory = is_in_memory(url);
        let path = connect.get_filename();
        let prepared = if in_memory { None } else { Some(prepare_file(path, options.sharing)?) };
        let (lock, identity) = prepared.unzip();
        let conn = open_writing(&connect, in_memory)?;
        if schema_version(&conn)?.needs_migration(options.on_older)? {
            migrate(&connect, options.on_older).await?;
        }
        if options.sharing == Sharing::Alone {
            condition::remove_left_table(&conn);
        }
        let no_thread = |error: io::Error| OpenError::Unreachable(error.to_string());
        let (mut reading, mut checkpoints, mut file) = (None, None, None);
        if let Some(identity) = identity {
            let opened = DatabaseFile::opened(path, identity).map_err(|error| cannot_use(path, &error))?;
            let opened = Arc::new(opened);
            reading = Some(ReadPools::open(&connect, options.connections)?);
            checkpoints = Some(start_checkpoints(&connect, &opened)?);
            let watched = Arc::clone(&opened);
            conn.commit_hook(Some(move || watched.is_lost()))?;
            file = Some(opened);
        }
        let writer = Writer::start(conn, checkpoints, lock, options.commits, options.signer, options.sink)
            .map_err(no_thread)?;
        Ok(Self { writer, reading, file, condition: Condition::default(), immutable: None })
    }

    /// Passes where there is a database at `url`.
    ///
    /// # Errors
    /// [`OpenError::Url`]; [`OpenError::Missing`].
    pub fn check_there(url: &str) -> Result<(), OpenError> {
        let connect = connect_options(url)?;
        if !is_missing(url, &connect) {
            return Ok(());
        }
        let file = connect.get_filename();
        let here = if file.is_relative() { "./" } else { "" };
        Err(OpenError::Missing(format!("{here}{}", file.display())))
    }

    /// Writes a copy of the database at `url` to the new file `target`, and gives the URL of the copy.
    ///
    /// # Errors
    /// When there is no such database, it can't be read, the copy can't be written, or it is not sound.
    pub fn copy(url: &str, target: &Path) -> Result<String, OpenError> {
        Self::check_there(url)?;
        backup::copy(connect_options(url)?.get_filename(), target)?;
        Ok(format!("sqlite:{}", read_only::encoded(target)))
    }

    /// Begins to restore the database at `url` from the file `source`.
    ///
    /// # Errors
    /// [`OpenError::Url`], also for a database in memory; [`OpenError::InUse`]; [`OpenError::Unreachable`].
    pub fn begin_restore(url: &str, source: &Path) -> Result<Restore, OpenError> {
        let connect = connect_options(url)?;
        if is_in_memory(url) {
            return Err(OpenError::Url("a database in memory can't be restored".to_owned()));
        }
        Restore::begin(connect.get_filename(), source)
    }

    /// Opens the database at `url` to read it and change nothing, not even beside it. Every change fails.
    ///
    /// # Errors
    /// When the URL is malformed, there is no such database, it can't be opened, or its schema does not fit.
    pub async fn open_reading(url: &str) -> Result<Self, OpenError> {
        if is_in_memory(url) {
            return Self::open(url, Options::for_command(OnOlderSchema::Refuse)).await;
        }
        Self::check_there(url)?;
        let connect = connect_options(url)?;
        let (mut connections, immutable) = read_only::open(connect.get_filename(), 3)?;
        let mut take = || connections.pop().into_iter().collect::<Vec<_>>();
        let (lists, lookups) = (Readers::new(take()), Readers::new(take()));
        let Some(conn) = take().pop() else {
            return Err(OpenError::Unreachable("no connection was opened".to_owned()));
        };
        schema_version(&conn)?.needs_migration(OnOlderSchema::Refuse)?;
        let writer = Writer::start(conn, None, None, GroupCommit::DEFAULT, None, Commits::default());
        let writer = writer.map_err(|error| OpenError::Unreachable(error.to_string()))?;
        let reading = Some(ReadPools { lists, lookups });
        Ok(Self { writer, reading, file: None, condition: Condition::default(), immutable })
    }

    /// How the schema of the database at `url` compares; makes and changes nothing.
    ///
    /// # Errors
    /// When the URL is malformed or the file can't be opened.
    pub fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
        let connect = connect_options(url)?;
        if is_in_memory(url) || is_missing(url, &connect) {
            return Ok(SchemaVersion::none(&MIGRATOR));
        }
        let (connections, _) = read_only::open(connect.get_filename(), 1)?;
        let none = SchemaVersion::none(&MIGRATOR);
        Ok(connections.first().map(schema_version).transpose()?.unwrap_or(none))
    }

    /// Writes in the next transaction, with all else that waits for it.
    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_for(Load { organization: OrganizationId::NONE, bytes: 0 }, work).await
    }

    /// The same, for an organization.
    async fn write_for<T: Send + 'static>(
        &self,
        load: Load,
        work: impl Fn(&Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.check_file()?;
        let outcome = self.writer.run(load, work).await;
        self.condition.note(&outcome);
        outcome
    }

    /// Passes while the database's files are in place; what is committed is certain to be, since every commit looks. Asked before
    /// reading too: what was deleted or replaced is no longer the truth, and an answer from it would be wrong without a sign.
    fn check_file(&self) -> Result<(), StoreError> {
        self.file.as_ref().map_or(Ok(()), |file| file.check())
    }

    fn check_immutable(&self) -> Result<(), StoreError> {
        self.immutable.as_ref().map_or(Ok(()), Immutable::check)
    }

    /// Passes while changes can be written; after one could not be, once a trial has succeeded.
    async fn check_writing(&self) -> Result<(), StoreError> {
        if !self.condition.is_refused() {
            return Ok(());
        }
        self.condition.begin_trial()?;
        let database = self.file.as_ref().map(|file| file.real_path().to_owned());
        self.write(move |batch| condition::try_writing(batch.conn, database.as_deref())).await?;
        self.write(|batch| condition::clean_up(batch.conn)).await?;
        self.condition.note_trial_succeeded();
        Ok(())
    }

    /// Reads what may take a while.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_for(OrganizationId::NONE, read).await
    }

    /// The same, for an organization.
    async fn read_for<T: Send + 'static>(
        &self,
        organization: OrganizationId,
        read: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.check_file()?;
        match &self.reading {
            Some(reading) => {
                let found = reading.lists.run(organization, read).await?;
                self.check_immutable().map(|()| found)
            }
            None => self.write(move |batch| read(batch.conn)).await,
        }
    }

    /// Reads what a key leads to in a few steps.
    async fn look_up<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.check_file()?;
        match self.reading.as_ref().and_then(|reading| reading.lookups.run_here(&read)) {
            Some(found) => self.check_immutable().and(found),
            None => self.read(read).await,
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        if let Some(file) = &self.file
            && file.is_lost()
        {
            file.check()?;
        }
        self.check_writing().await?;
        // Long lists don't hold it up.
        let version = self.look_up(|conn| Ok(schema_version(conn)?)).await;
        version.map_err(|error| StoreError::Unavailable(error.into()))?.check_current()
    }

    async fn close(&self) {
        if let Some(reading) = &self.reading {
            reading.close();
        }
        self.writer.close().await;
    }
}

impl ReadPools {
    fn open(connect: &SqliteConnectOptions, connections: u32) -> Result<Self, OpenError> {
        let open = |count: usize| (0..count).map(|_| open_reading(connect)).collect::<Result<_, _>>();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // More readers than processors would only take the writer's time.
        let connections = usize::try_from(connections).unwrap_or(usize::MAX).min(threads);
        Ok(Self { lists: Readers::new(open(connections)?), lookups: Readers::new(open(threads)?) })
    }

    fn close(&self) {
        self.lists.close();
        self.lookups.close();
    }
}
