//! Moving what was committed from the write-ahead log to the database, beside the writer, which would hold up all calls for it.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

/// For how long commits gather before they are moved: the pages that every commit touches are moved once for all of them.
const GATHERED: Duration = Duration::from_millis(50);

/// The thread that moves them.
pub struct Checkpoints {
    /// Has room for one word: that there is something to move.
    committed: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts it on a connection of its own.
    pub fn start(conn: Connection) -> io::Result<Self> {
        let (committed, told) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("redflag-checkpoints".to_owned())
            .spawn(move || move_committed(&conn, &told))?;
        Ok(Self { committed, thread })
    }

    /// Tells it that something was committed.
    pub fn note_commit(&self) {
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

fn move_committed(conn: &Connection, told: &Receiver<()>) {
    while told.recv().is_ok() {
        thread::sleep(GATHERED);
        // What it can't move now stays in the log, which is as durable.
        if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())) {
            tracing::warn!(%error, "no checkpoint");
        }
    }
}
