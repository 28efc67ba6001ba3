//! The one writer: a thread that takes all that is queued, does it in one transaction with what is queued meanwhile, and answers
//! after the commit.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rusqlite::{Connection, params};

use super::{checkpoints::Checkpoints, query, sql};
use crate::{
    domain::{Head, OrganizationId},
    store::{
        StoreError,
        queue::{Answering, Batches, GroupCommit, Queue, queue},
    },
};

/// The transaction that a batch is done in.
pub struct Batch<'c> {
    /// The writing connection.
    pub conn: &'c Connection,
    heads: RefCell<HashMap<OrganizationId, Known>>,
}

/// Where a feed ends that was read or moved within the transaction.
#[derive(Clone, Copy)]
struct Known {
    head: Head,
    is_moved: bool,
}

impl Batch<'_> {
    /// Where the feed ends, if a change before has read or moved it.
    pub fn head(&self, organization: OrganizationId) -> Option<Head> {
        self.heads.borrow().get(&organization).map(|known| known.head)
    }

    /// Notes where the feed ends, as it was read.
    pub fn note_head(&self, organization: OrganizationId, head: Head) {
        self.heads.borrow_mut().entry(organization).or_insert(Known { head, is_moved: false });
    }

    /// Moves the end of the feed; it is written once, at the end of the transaction.
    pub fn move_head(&self, organization: OrganizationId, head: Head) {
        self.heads.borrow_mut().insert(organization, Known { head, is_moved: true });
    }

    fn write_heads(&self) -> rusqlite::Result<()> {
        for (organization, Known { head, .. }) in
            self.heads.borrow().iter().filter(|(_, known)| known.is_moved)
        {
            let params = params![head.position, head.hash.0, organization.uuid()];
            query::execute(self.conn, sql::UPDATE_HEAD, params)?;
        }
        Ok(())
    }
}

/// The way to the writer.
pub struct Writer {
    queue: Queue<Box<dyn Job>>,
}

impl Writer {
    /// Starts the writer on its connection; `checkpoints` learn of its commits.
    pub fn start(
        conn: Connection,
        checkpoints: Option<Checkpoints>,
        commits: GroupCommit,
    ) -> io::Result<Self> {
        let (queue, mut batches) = queue(commits.waiting, commits.size);
        let write = move || {
            serve(&mut batches, &conn, checkpoints.as_ref());
            if let Some(checkpoints) = checkpoints {
                checkpoints.end();
            }
            // Before the end of the batches, which tells that all is done.
            drop(conn);
            drop(batches);
        };
        thread::Builder::new().name("redflag-writer".to_owned()).spawn(write)?;
        Ok(Self { queue })
    }

    /// Does `work` in the next transaction, and answers once that is on disk. Work that fails after it has written is
    /// undone, and nothing else with it; it may be done several times until then, so it must not depend on how often.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue.ask(|answering| Box::new(Task { work, result: None, answering }) as Box<dyn Job>).await
    }

    /// Takes no more work, and waits until what was queued is committed and the connection closed.
    pub async fn close(&self) {
        self.queue.close().await;
    }
}

/// Work with its type forgotten.
trait Job: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work and keeps its result; tells whether it succeeded.
    fn run(&mut self, batch: &Batch<'_>) -> bool;
    /// Answers the result, or why the transaction failed.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

struct Task<T, W> {
    work: W,
    result: Option<Result<T, StoreError>>,
    answering: Answering<T>,
}

impl<T: Send, W: Fn(&Batch<'_>) -> Result<T, StoreError> + Send> Job for Task<T, W> {
    fn is_abandoned(&self) -> bool {
        self.answering.is_closed()
    }

    fn run(&mut self, batch: &Batch<'_>) -> bool {
        let result = (self.work)(batch);
        let succeeded = result.is_ok();
        self.result = Some(result);
        succeeded
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let Self { result, answering, .. } = *self;
        let undone = || Err(StoreError::Internal("the work was given up".into()));
        // Where the caller is gone, nobody wants to know.
        let _ = answering.send(failed.map_or_else(|| result.unwrap_or_else(undone), Err));
    }
}

/// Why a transaction did not happen.
enum Undone {
    /// It could not begin: the work is not to blame.
    NotBegun(StoreError),
    /// Some work of it failed midway, or the commit did: alone, the rest may well succeed.
    Torn(StoreError),
}

fn serve(batches: &mut Batches<Box<dyn Job>>, conn: &Connection, checkpoints: Option<&Checkpoints>) {
    while let Some(mut jobs) = batches.next_blocking() {
        match transact(conn, &mut jobs, |taken| batches.more(taken)) {
            Err(Undone::Torn(error)) if jobs.len() > 1 => {
                tracing::warn!(%error, changes = jobs.len(), "a batch was undone, its changes are done one by one");
                for job in jobs {
                    serve_alone(conn, job);
                }
            }
            outcome => answer(jobs, outcome),
        }
        if let Some(checkpoints) = checkpoints {
            checkpoints.note_commit(conn);
        }
    }
}

fn serve_alone(conn: &Connection, job: Box<dyn Job>) {
    let mut jobs = vec![job];
    let outcome = transact(conn, &mut jobs, |_| Vec::new());
    answer(jobs, outcome);
}

fn answer(jobs: Vec<Box<dyn Job>>, outcome: Result<(), Undone>) {
    let failed = outcome.err().map(|(Undone::NotBegun(error) | Undone::Torn(error))| Arc::new(error));
    for job in jobs {
        job.answer(failed.as_ref().map(StoreError::shared));
    }
}

/// Does all jobs in one transaction, with those that join them meanwhile. Nothing of it stays unless all of it does.
fn transact(
    conn: &Connection,
    jobs: &mut Vec<Box<dyn Job>>,
    joining: impl FnMut(usize) -> Vec<Box<dyn Job>>,
) -> Result<(), Undone> {
    if jobs.is_empty() {
        return Ok(());
    }
    // Where a transaction could not be undone before, it is now, or nothing ever could be written again.
    undo(conn).and_then(|()| Ok(begin(conn)?)).map_err(Undone::NotBegun)?;
    let done = catch_unwind(AssertUnwindSafe(|| run_all(conn, jobs, joining)));
    let outcome = done.unwrap_or_else(|_| Err(StoreError::Internal("a change panicked".into())));
    if outcome.is_err()
        && let Err(error) = undo(conn)
    {
        tracing::error!(%error, "can't roll back");
    }
    outcome.map_err(Undone::Torn)
}

fn begin(conn: &Connection) -> rusqlite::Result<()> {
    query::execute(conn, "BEGIN IMMEDIATE", ()).map(drop)
}

/// Runs all jobs; then those that `joining`, which is told how many there were, adds to them; and so on, and commits once it
/// adds none. Who joins shares the commit, instead of waiting for it and for the next. A job that fails before it has written
/// anything fails alone; one that fails afterwards takes the transaction with it, unless it is the only one, which is then undone
/// and has its own answer.
fn run_all(
    conn: &Connection,
    jobs: &mut Vec<Box<dyn Job>>,
    mut joining: impl FnMut(usize) -> Vec<Box<dyn Job>>,
) -> Result<(), StoreError> {
    let batch = Batch { conn, heads: RefCell::default() };
    let mut done = 0;
    while let Some(job) = jobs.get_mut(done) {
        let written = conn.total_changes();
        // The caller may be gone by now, as when the transaction had to wait for another process.
        let is_settled = job.is_abandoned() || job.run(&batch);
        let is_sound = !conn.is_autocommit() && (is_settled || conn.total_changes() == written);
        if !is_sound {
            return if jobs.len() == 1 && !is_settled {
                undo(conn)
            } else {
                Err(StoreError::Internal("a change failed midway".into()))
            };
        }
        done += 1;
        if done == jobs.len() {
            jobs.append(&mut joining(done));
        }
    }
    batch.write_heads()?;
    Ok(query::execute(conn, "COMMIT", ()).map(drop)?)
}

/// Undoes what was written, unless SQLite has done so by itself, as when the disk is full.
fn undo(conn: &Connection) -> Result<(), StoreError> {
    if !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_change_that_arrives_during_a_batch_joins_it() {
        let conn = Connection::open_in_memory().unwrap();
        let writer = Writer::start(conn, None, GroupCommit::DEFAULT).unwrap();
        let organization = OrganizationId::from_uuid(Uuid::nil());
        let (begun, (go_on, told)) = (Arc::new(Notify::new()), mpsc::channel());
        let has_begun = Arc::clone(&begun);
        let first = writer.run(move |batch| {
            batch.note_head(organization, Head::EMPTY);
            begun.notify_one();
            told.recv().map_err(|error| StoreError::Internal(error.into()))
        });
        let second = async {
            has_begun.notified().await;
            let asked = writer.run(move |batch| Ok(batch.head(organization).is_some()));
            tokio::join!(asked, async { go_on.send(()).unwrap() }).0
        };
        let (first, is_same_batch) = tokio::join!(first, second);
        first.unwrap();
        assert!(is_same_batch.unwrap());
    }
}
