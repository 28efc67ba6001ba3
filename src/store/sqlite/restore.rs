//! Restoring a database from a backup, while nobody else is at work on it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension};

use super::{
    MIGRATOR, backup,
    file::{Identity, beside, cannot_use},
    lock::{LockFile, lock_out_commands},
    opening::schema_version,
    read_only, sql,
    swap::{STEPS, Swap},
};
use crate::store::schema::{OnOlderSchema, OpenError};

/// A restoration that has begun: nobody else is at work on the database. What is not finished is deleted when this is dropped.
pub struct Restore {
    source: PathBuf,
    swap: Swap,
    _server: LockFile,
    _commands: File,
}

/// The result of a restoration.
#[derive(Debug)]
pub struct Restored {
    /// The database.
    pub file: PathBuf,
    /// How many bytes it has.
    pub size: u64,
    /// The path of the previous database.
    pub kept: Option<PathBuf>,
}

impl Restore {
    /// Begins to restore the database at `target` from the file `source`; waits for commands that are at work on it.
    ///
    /// # Errors
    /// [`OpenError::InUse`]; [`OpenError::Unreachable`] when a file or the folder does not let it.
    pub fn begin(target: &Path, source: &Path) -> Result<Self, OpenError> {
        let target = real(target).map_err(|error| cannot_use(target, &error))?;
        let (server, commands) = (LockFile::of_server(&target)?, lock_out_commands(&target)?);
        let identity = Identity::of(source).map_err(|error| cannot_use(source, &error))?;
        if Identity::of(&target).is_ok_and(|found| found == identity) {
            return Err(OpenError::Unreachable(format!("{} is the database itself", source.display())));
        }
        let swap = Swap::of(target);
        swap.clear().map_err(|error| cannot_use(&swap.target, &error))?;
        Ok(Self { source: source.to_owned(), swap, _server: server, _commands: commands })
    }

    /// Checks the file, and makes a private copy of it beside the database; gives the copy's URL.
    ///
    /// # Errors
    /// When it is no database of redflag, or a newer one, or not sound; when the copy can't be written.
    pub fn copy(&self) -> Result<String, OpenError> {
        let (connections, _) = read_only::open(&self.source, 1)?;
        for conn in &connections {
            check_ours(conn, &self.source)?;
            schema_version(conn)?.needs_migration(OnOlderSchema::Migrate)?;
            backup::check_pages(conn)?;
        }
        backup::copy(&self.source, &self.swap.copy)?;
        Ok(format!("sqlite:{}", read_only::encoded(&self.swap.copy)))
    }

    /// Gives the copy the place of the database, which is kept under a name with `stamp`.
    ///
    /// # Errors
    /// When somebody has the database open; when the files can't be moved.
    pub fn finish(self, stamp: &str) -> Result<Restored, OpenError> {
        let kept = beside(&self.swap.target, &format!(".before-restore-{stamp}"));
        for step in STEPS {
            step(&self.swap, &kept)?;
        }
        let file = self.swap.target.clone();
        let size = fs::metadata(&file).map_err(|error| cannot_use(&file, &error))?.len();
        Ok(Restored { file, size, kept: kept.exists().then_some(kept) })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Err(error) = self.swap.remove_copy() {
            tracing::warn!(%error, path = %self.swap.copy.display(), "can't delete an unfinished copy");
        }
    }
}

/// The path that a database has or will have, without symbolic links.
fn real(path: &Path) -> io::Result<PathBuf> {
    if fs::symlink_metadata(path).is_ok() {
        return path.canonicalize();
    }
    let absolute = std::path::absolute(path)?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "no file"));
    };
    Ok(folder.canonicalize()?.join(name))
}

/// Passes for a database that redflag has made: its first migration is ours.
fn check_ours(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let not_ours = || OpenError::Unreachable(format!("{} is no database of redflag", path.display()));
    if conn.query_row(sql::HAS_MIGRATIONS, (), |_| Ok(())).optional()?.is_none() {
        return Err(not_ours());
    }
    let first: Option<Vec<u8>> =
        conn.query_row(sql::SELECT_FIRST_MIGRATION, (), |row| row.get(0)).optional()?;
    let ours = MIGRATOR.iter().next().map(|migration| migration.checksum.to_vec());
    if first == ours { Ok(()) } else { Err(not_ours()) }
}
