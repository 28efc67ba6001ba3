//! Moving what was committed from the write-ahead log to the database, beside the writer, which would hold up all calls for it.
//!
//! The log begins anew only when all of it is moved, and while commits follow each other that is never so. So once it has
//! grown long, the writer itself moves what little came in during the last moving.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, Row, config::DbConfig};

use super::file::DatabaseFile;
use crate::store::StoreError;

/// For how long commits gather before they are moved: the pages that every commit touches are moved once for all of them.
const GATHERED: Duration = Duration::from_millis(10);
/// How many pages (of 4 KiB) make the log long.
const LONG_LOG: i64 = 8_000;
/// How many pages the writer may move, which holds up all changes: some milliseconds.
const SMALL_REST: i64 = 1_000;
/// How often it looks whether the files are in place while nobody writes.
const LOOK: Duration = Duration::from_secs(1);

/// The thread that moves them.
pub struct Checkpoints {
    /// Has room for one word: that there is something to move.
    committed: SyncSender<()>,
    /// True where the log is long, and so little of it is left that the writer moves the rest.
    is_writers_turn: Arc<AtomicBool>,
    file: Arc<DatabaseFile>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts it on a connection of its own.
    pub fn start(conn: Connection, file: Arc<DatabaseFile>) -> io::Result<Self> {
        let (committed, told) = sync_channel(1);
        let is_writers_turn = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("redflag-checkpoints".to_owned()).spawn({
            let (is_writers_turn, file) = (Arc::clone(&is_writers_turn), Arc::clone(&file));
            move || move_committed(&conn, &told, &is_writers_turn, &file)
        })?;
        Ok(Self { committed, is_writers_turn, file, thread })
    }

    /// Tells it that the writer has committed something on `conn`; moves the rest of a long log, where little is left of it.
    pub fn note_commit(&self, conn: &Connection) {
        if self.is_writers_turn.swap(false, Ordering::Relaxed) {
            checkpoint(conn);
        }
        // It may have been told already or be gone: the writer's own checkpoints will do.
        let _ = self.committed.try_send(());
    }

    /// Passes while the files are in place, so that what was committed just now is in them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn check_files(&self) -> Result<(), StoreError> {
        self.file.check_now()
    }

    /// Waits until it has ended. Where the files are no longer in place, the writer's connection won't touch what is there when it
    /// is closed: SQLite deletes the log by its path.
    pub fn end(self, writer: &Connection) {
        drop(self.committed);
        if self.thread.join().is_err() {
            tracing::error!("the thread of checkpoints has panicked");
        }
        if self.file.is_lost()
            && let Err(error) = leave_log_at_close(writer)
        {
            tracing::error!(%error, "the write-ahead log may be deleted");
        }
    }
}

/// Makes a connection leave the log as it is when it is closed.
pub fn leave_log_at_close(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

fn move_committed(conn: &Connection, told: &Receiver<()>, is_writers_turn: &AtomicBool, file: &DatabaseFile) {
    let mut is_emptied = false;
    loop {
        let heard = told.recv_timeout(LOOK);
        // Without waiting for a call: the sooner the log is empty, the less can be taken for the log of another file.
        if file.is_lost() {
            is_emptied = is_emptied || file.empty_log(conn);
        } else if heard.is_ok() {
            thread::sleep(GATHERED);
            move_gathered(conn, is_writers_turn);
        }
        if heard == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

fn move_gathered(conn: &Connection, is_writers_turn: &AtomicBool) {
    if checkpoint(conn).is_some_and(|log| log.pages >= LONG_LOG) {
        // Once more: what came in meanwhile is far less than what had gathered. Unless somebody still reads what is older.
        let rest = checkpoint(conn).map(|log| log.pages - log.moved);
        is_writers_turn.store(rest.is_some_and(|pages| pages <= SMALL_REST), Ordering::Relaxed);
    }
}

/// The write-ahead log after a checkpoint.
struct Log {
    pages: i64,
    moved: i64,
}

/// Moves what can be moved; nothing where another is at it. What can't be moved now stays in the log, which is as durable.
fn checkpoint(conn: &Connection) -> Option<Log> {
    let read = |row: &Row<'_>| Ok(Log { pages: row.get(1)?, moved: row.get(2)? });
    let done = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), read);
    let log = done.inspect_err(|error| tracing::warn!(%error, "no checkpoint")).ok();
    // -1 where it could not begin.
    log.filter(|log| log.pages >= 0)
}
