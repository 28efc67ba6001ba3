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

use super::{codes, file::beside};
use crate::store::StoreError;

/// How often it is tried at most: whoever asks for readiness needs no key.
const BETWEEN_TRIALS: Duration = Duration::from_secs(1);
/// How many bytes a trial writes to the database.
const WRITTEN: usize = 256 * 1024;
/// How many bytes there must be room for on the disk.
const ROOM: usize = 1024 * 1024;

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
    let tried = database.map_or(Ok(()), |database| fill_file(&beside(database, "-trial")));
    tried.map_err(|error| StoreError::Unavailable(error.into()))
}

/// Takes away what a trial has written, once it is committed.
pub fn clean_up(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.execute_batch("DROP TABLE IF EXISTS redflag_trial")?)
}

fn fill_file(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let filled = file.write_all(&vec![0; ROOM]).and_then(|()| file.sync_all());
    fs::remove_file(path)?;
    filled
}
