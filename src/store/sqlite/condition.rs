//! The state of writing: the outcome of the last changes, and a trial after one that could not be written.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    codes,
    file::{beside, remove_if_there},
};
use crate::store::StoreError;

/// How often it is tried at most: whoever asks for readiness needs no key.
const BETWEEN_TRIALS: Duration = Duration::from_secs(1);
/// How many bytes a trial writes to the database.
const WRITTEN: usize = 256 * 1024;
/// How many bytes there must be room for on the disk.
const ROOM: usize = 1024 * 1024;

/// The suffix of the file that a trial writes.
const TRIAL: &str = "-trial";

/// The state of writing.
#[derive(Default)]
pub struct Condition {
    is_refused: AtomicBool,
    last_trial: Mutex<Option<Instant>>,
}

impl Condition {
    /// Notes what became of a change. One that succeeded tells nothing: it may have written nothing.
    pub fn note<T>(&self, outcome: &Result<T, StoreError>) {
        if let Err(error) = outcome
            && codes::is_refused(error)
        {
            self.is_refused.store(true, Ordering::Relaxed);
        }
    }

    /// Returns true after a change that could not be written.
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Notes that a trial has succeeded.
    pub fn note_trial_succeeded(&self) {
        self.is_refused.store(false, Ordering::Relaxed);
    }

    /// Passes at most once in a while.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn begin_trial(&self) -> Result<(), StoreError> {
        // An instant is whole whatever happened to whoever held it.
        let mut last = self.last_trial.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < BETWEEN_TRIALS) {
            return Err(StoreError::Unavailable("the last changes could not be written".into()));
        }
        *last = Some(Instant::now());
        Ok(())
    }
}

/// Writes as much as large changes do, to be committed: the database may grow, and so may its log. There is room on the disk
/// beside what the log's file already takes.
pub fn try_writing(conn: &Connection, database: Option<&Path>) -> Result<(), StoreError> {
    conn.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS redflag_trial (x); INSERT INTO redflag_trial VALUES (zeroblob({WRITTEN}))"
    ))?;
    let tried = database.map_or(Ok(()), |database| fill_file(&beside(database, TRIAL)));
    tried.map_err(|error| StoreError::Unavailable(error.into()))
}

/// Takes away what a trial has left that was ended by the end of its process. Where that fails, it takes room, and nothing else.
pub fn remove_left_table(conn: &Connection) {
    let left = conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'redflag_trial'", (), |_| Ok(()));
    if left.is_ok()
        && let Err(error) = clean_up(conn)
    {
        tracing::warn!(%error, "the table redflag_trial stays");
    }
}

/// The same beside the database.
pub fn remove_left_file(database: &Path) {
    let path = beside(database, TRIAL);
    if let Err(error) = remove_if_there(&path) {
        tracing::warn!(%error, path = %path.display(), "a file that is no longer needed stays");
    }
}

/// Takes away what a trial has written, once it is committed.
pub fn clean_up(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.execute_batch("DROP TABLE IF EXISTS redflag_trial")?)
}

fn fill_file(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let filled = file.write_all(&vec![0; ROOM]).and_then(|()| file.sync_all());
    let removed = fs::remove_file(path);
    filled.and(removed)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_full_disk_is_told_also_where_the_file_can_not_be_removed() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let path = format!("/proc/self/fd/{}", full.as_raw_fd());
        let told = fill_file(Path::new(&path)).unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn what_an_ended_trial_has_left_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let conn = Connection::open(&path).unwrap();
        try_writing(&conn, Some(&path)).unwrap();
        fs::write(beside(&path, TRIAL), "left").unwrap();
        remove_left_table(&conn);
        remove_left_file(&path);
        let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).unwrap();
        assert_eq!((tables, beside(&path, TRIAL).exists()), (0, false));
        // Nothing is left, so nothing is written.
        let written = conn.total_changes();
        remove_left_table(&conn);
        assert_eq!(conn.total_changes(), written);
    }
}
