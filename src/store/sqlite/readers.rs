//! The connections that only read, and the threads they are used on.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    domain::OrganizationId,
    store::{StoreError, fair::FairSemaphore},
};
use rusqlite::Connection;

/// How long a call waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// After how many of its steps SQLite looks whether anybody still waits for the answer: about a tenth of a millisecond.
const STEPS: i32 = 10_000;

/// Reading connections, lent to one reader at a time.
pub struct Readers {
    idle: Mutex<Vec<Connection>>,
    free: Arc<FairSemaphore>,
}

impl Readers {
    /// Lends out these connections.
    pub fn new(connections: Vec<Connection>) -> Arc<Self> {
        let free = FairSemaphore::new(connections.len());
        Arc::new(Self { idle: Mutex::new(connections), free })
    }

    /// Reads on a thread where waiting for the disk holds nobody up. Organizations take turns. Where the caller goes away, reading ends.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        organization: OrganizationId,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let acquired = tokio::time::timeout(ACQUIRE_TIMEOUT, self.free.acquire(organization)).await;
        let busy = |_| StoreError::Unavailable("no connection became free in time".into());
        let permit = acquired.map_err(busy)??;
        let (readers, abandoned) = (Arc::clone(self), Abandoned::default());
        let flag = Arc::clone(&abandoned.0);
        let reading = tokio::task::spawn_blocking(move || {
            // Given back after the connection.
            let _permit = permit;
            let lent = readers.lend()?;
            let conn = lent.connection()?;
            conn.progress_handler(STEPS, Some(move || flag.load(Ordering::Relaxed)))?;
            read(conn)
        });
        let read = reading.await;
        read.map_err(|error| StoreError::Internal(error.into()))?
    }

    /// Reads here and now, if a connection is free: for what takes a few steps, where changing the thread would take
    /// longer than the reading.
    pub fn run_here<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let lent = self.lend().ok()?;
        Some(lent.connection().and_then(read))
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let conn = self.connections().pop();
        let conn = conn.ok_or_else(|| StoreError::Unavailable("no connection is free".into()))?;
        Ok(Lent { conn: Some(conn), readers: self })
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections is whole whatever happened to whoever held it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends no more, and closes the connections that nobody uses.
    pub fn close(&self) {
        self.free.close();
        self.connections().clear();
    }
}

/// A connection that goes back when it is dropped.
struct Lent<'r> {
    conn: Option<Connection>,
    readers: &'r Readers,
}

impl Lent<'_> {
    fn connection(&self) -> Result<&Connection, StoreError> {
        self.conn.as_ref().ok_or_else(|| StoreError::Internal("the connection was given back".into()))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut connections = self.readers.connections();
        // Asked under the lock: what comes back later would never be closed.
        if !self.readers.free.is_closed() {
            connections.extend(self.conn.take());
        }
    }
}

/// Is set when it is dropped.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
