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

use rusqlite::Connection;

/// For how long commits gather before they are moved: the pages that every commit touches are moved once for all of them.
const GATHERED: Duration = Duration::from_millis(10);
/// How many pages (of 4 KiB) make the log long.
const LONG_LOG: i64 = 8_000;

/// The thread that moves them.
pub struct Checkpoints {
    /// Has room for one word: that there is something to move.
    committed: SyncSender<()>,
    /// Whether it is the writer's turn.
    is_rest_small: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts it on a connection of its own.
    pub fn start(conn: Connection) -> io::Result<Self> {
        let (committed, told) = sync_channel(1);
        let is_rest_small = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("redflag-checkpoints".to_owned()).spawn({
            let is_rest_small = Arc::clone(&is_rest_small);
            move || move_committed(&conn, &told, &is_rest_small)
        })?;
        Ok(Self { committed, is_rest_small, thread })
    }

    /// Tells it that the writer has committed something on `conn`; moves the rest of a long log, where little is left of it.
    pub fn note_commit(&self, conn: &Connection) {
        if self.is_rest_small.swap(false, Ordering::Relaxed) {
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

fn move_committed(conn: &Connection, told: &Receiver<()>, is_rest_small: &AtomicBool) {
    while told.recv().is_ok() {
        thread::sleep(GATHERED);
        if checkpoint(conn).is_some_and(|pages| pages >= LONG_LOG) {
            // What came in meanwhile is far less than what had gathered.
            checkpoint(conn);
            is_rest_small.store(true, Ordering::Relaxed);
        }
    }
}

/// Moves what can be moved; tells how many pages the log has. What can't be moved now stays in it, which is as durable.
fn checkpoint(conn: &Connection) -> Option<i64> {
    let moved = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get(1));
    moved.inspect_err(|error| tracing::warn!(%error, "no checkpoint")).ok()
}
