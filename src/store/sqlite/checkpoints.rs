//! Moving what was committed from the write-ahead log to the database, beside the writer, which would hold up all calls for it.
//!
//! The log begins anew only when all of it is moved, and while commits follow each other that is never so. So once it has
//! grown long, the writer itself moves what little came in during the last moving.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, Row};

/// For how long commits gather before they are moved: the pages that every commit touches are moved once for all of them.
const GATHERED: Duration = Duration::from_millis(10);
/// How many pages (of 4 KiB) make the log long.
const LONG_LOG: i64 = 8_000;
/// How many pages the writer may move, which holds up all changes: some milliseconds.
const SMALL_REST: i64 = 1_000;

/// The thread that moves them.
pub struct Checkpoints {
    /// Has room for one word: that there is something to move.
    committed: SyncSender<()>,
    /// Whether the log is long, and so little of it is left that the writer moves the rest.
    is_writers_turn: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts it on a connection of its own.
    pub fn start(conn: Connection) -> io::Result<Self> {
        let (committed, told) = sync_channel(1);
        let is_writers_turn = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("redflag-checkpoints".to_owned()).spawn({
            let is_writers_turn = Arc::clone(&is_writers_turn);
            move || move_committed(&conn, &told, &is_writers_turn)
        })?;
        Ok(Self { committed, is_writers_turn, thread })
    }

    /// Tells it that the writer has committed something on `conn`; moves the rest of a long log, where little is left of it.
    pub fn note_commit(&self, conn: &Connection) {
        if self.is_writers_turn.swap(false, Ordering::Relaxed) {
            checkpoint(conn);
        }
        // Where it was told already, or is gone, the writer's own checkpoints will do.
        let _ = self.committed.try_send(());
    }

    /// Waits until it has ended.
    pub fn end(self) {
        drop(self.committed);
        if self.thread.join().is_err() {
            tracing::error!("the thread of checkpoints has panicked");
        }
    }
}

fn move_committed(conn: &Connection, told: &Receiver<()>, is_writers_turn: &AtomicBool) {
    while told.recv().is_ok() {
        thread::sleep(GATHERED);
        if checkpoint(conn).is_some_and(|log| log.pages >= LONG_LOG) {
            // Once more: what came in meanwhile is far less than what had gathered. Unless somebody still reads what is older.
            let rest = checkpoint(conn).map(|log| log.pages - log.moved);
            is_writers_turn.store(rest.is_some_and(|pages| pages <= SMALL_REST), Ordering::Relaxed);
        }
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
