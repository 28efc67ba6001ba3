//! The one writer: a thread that takes all that is queued, does it in one transaction with what is queued meanwhile, and answers
//! after the commit.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rusqlite::{Connection, params};
use tokio::runtime::Handle;

use super::{checkpoints::Checkpoints, lock::DatabaseLock, query, sql};
use crate::{
    domain::{AlertEvent, Head, HeadSigner, OrganizationId},
    store::{
        Commits, StoreError,
        queue::{self, Amount, Answering, Batches, GroupCommit, Job, Lane, Load, Queue},
        shared::rows::signature::SignatureRow,
    },
};

/// The transaction that a batch is done in.
pub struct Batch<'c> {
    /// The writing connection.
    pub conn: &'c Connection,
    signer: Option<&'c HeadSigner>,
    heads: RefCell<HashMap<OrganizationId, CachedHead>>,
    /// The events, where somebody wants to know of them.
    events: Option<RefCell<Vec<AlertEvent>>>,
}

/// The head of a feed that was read or moved within the transaction.
#[derive(Clone, Copy)]
struct CachedHead {
    /// The head before the transaction.
    read: Head,
    head: Head,
}

impl Batch<'_> {
    /// The head of the feed, if a change before has read or moved it.
    pub fn head(&self, organization: OrganizationId) -> Option<Head> {
        self.heads.borrow().get(&organization).map(|known| known.head)
    }

    /// Notes where the feed ends, as it was read.
    pub fn record_head(&self, organization: OrganizationId, head: Head) {
        self.heads.borrow_mut().entry(organization).or_insert(CachedHead { read: head, head });
    }

    /// Moves the end of the feed; it is written once, at the end of the transaction.
    pub fn move_head(&self, organization: OrganizationId, from: Head, to: Head) {
        self.heads.borrow_mut().entry(organization).or_insert(CachedHead { read: from, head: from }).head =
            to;
    }

    /// Keeps an event for whoever wants to know of the commit.
    pub fn keep(&self, event: AlertEvent) {
        if let Some(events) = &self.events {
            events.borrow_mut().push(event);
        }
    }

    /// Writes the heads that were moved, each with its signature.
    fn write_heads(&self) -> rusqlite::Result<()> {
        for (organization, CachedHead { read, head }) in
            self.heads.borrow().iter().filter(|(_, known)| known.head != known.read)
        {
            let params = params![head.position, head.hash.0, organization.uuid()];
            query::execute(self.conn, sql::UPDATE_HEAD, params)?;
            let signed = self.signer.and_then(|signer| signer.sign(*organization, *read, *head));
            if let Some(signed) = signed {
                query::write(self.conn, &sql::INSERT_HEAD_SIGNATURE, &SignatureRow::from(&signed))?;
            }
        }
        Ok(())
    }
}

/// The most that a batch holds while several organizations write: a millisecond or two, since all others wait for the one writer.
const SHARED: Amount = Amount { count: 16, bytes: 128 * 1024 };
/// The most organizations whose work has failed midway that are kept in mind.
const MOST_SUSPECTS: usize = 10_000;

/// The way to the writer.
pub struct Writer {
    queue: Queue<Box<dyn Work>>,
}

impl Writer {
    /// Starts the writer on its connection; `checkpoints` learn of its commits, `lock` is held until it is closed, and `signer`
    /// signs the heads that it leaves, and `sink` is told of its commits.
    pub fn start(
        conn: Connection,
        checkpoints: Option<Checkpoints>,
        lock: Option<DatabaseLock>,
        commits: GroupCommit,
        signer: Option<Arc<HeadSigner>>,
        sink: Commits,
    ) -> io::Result<Self> {
        let batch = commits.batch();
        let shared = Amount { count: SHARED.count.min(batch.count), ..SHARED };
        let queue = queue::queue(commits.room(), batch, shared);
        let mut batches = queue.batches(Lane::Main);
        let runtime = Handle::current();
        let write = move || {
            let session = Session { conn, signer, checkpoints, sink };
            let mut suspects = HashSet::new();
            while let Some(batch) = runtime.block_on(batches.next()) {
                serve(&session, batch, &mut batches, &mut suspects);
                session.note_commit();
            }
            // Before the end of the batches, which tells that all is done.
            session.end();
            drop(lock);
            drop(batches);
        };
        thread::Builder::new().name("redflag-writer".to_owned()).spawn(write)?;
        Ok(Self { queue })
    }

    /// Does `work` in the next transaction, and answers once that is on disk. Work that fails after it has written is
    /// undone, and nothing else with it; it may be done several times until then, so it must not depend on how often.
    pub async fn run<T: Send + 'static>(
        &self,
        load: Load,
        work: impl Fn(&Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = |answering| Box::new(Task { work, result: None, answering }) as Box<dyn Work>;
        self.queue.ask(load, job).await
    }

    /// Takes no more work, and waits until what was queued is committed and the connection closed.
    pub async fn close(&self) {
        self.queue.close().await;
    }
}

/// Work with its type forgotten.
trait Work: Send {
    /// Returns true where nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work and keeps its result; tells whether it succeeded.
    fn run(&mut self, batch: &Batch<'_>) -> bool;
    /// Returns true for work that was done and succeeded.
    fn has_succeeded(&self) -> bool;
    /// Answers the result, or why the transaction failed.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

struct Task<T, W> {
    work: W,
    result: Option<Result<T, StoreError>>,
    answering: Answering<T>,
}

impl<T: Send, W: Fn(&Batch<'_>) -> Result<T, StoreError> + Send> Work for Task<T, W> {
    fn is_abandoned(&self) -> bool {
        self.answering.is_closed()
    }

    fn run(&mut self, batch: &Batch<'_>) -> bool {
        self.result = Some((self.work)(batch));
        self.has_succeeded()
    }

    fn has_succeeded(&self) -> bool {
        self.result.as_ref().is_some_and(Result::is_ok)
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let Self { result, answering, .. } = *self;
        let undone = || Err(StoreError::Internal("the work was given up".into()));
        // The caller may be gone.
        let _ = answering.send(failed.map_or_else(|| result.unwrap_or_else(undone), Err));
    }
}

impl Job for Box<dyn Work> {
    fn is_abandoned(&self) -> bool {
        self.as_ref().is_abandoned()
    }

    fn refuse(self, error: StoreError) {
        self.answer(Some(error));
    }
}

/// The connection and the signer of the writer.
struct Session {
    conn: Connection,
    signer: Option<Arc<HeadSigner>>,
    checkpoints: Option<Checkpoints>,
    sink: Commits,
}

impl Session {
    fn note_commit(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.note_commit(&self.conn);
        }
    }

    /// Passes where what was committed just now is in the files that others will read. Every commit looks before it writes, but
    /// somebody may have replaced a file since.
    fn check_committed(&self) -> Result<(), StoreError> {
        self.checkpoints.as_ref().map_or(Ok(()), Checkpoints::check_files)
    }

    fn end(self) {
        if let Some(checkpoints) = self.checkpoints {
            checkpoints.end(&self.conn);
        }
    }
}

type Jobs = Vec<(Load, Box<dyn Work>)>;

/// Why a transaction did not happen.
enum Undone {
    /// It could not begin: the work is not to blame.
    NotBegun(StoreError),
    /// The work at that place failed midway: without it, the rest may well succeed.
    Torn(usize, StoreError),
    /// It could not be committed: one by one, some of the work may succeed.
    Uncommitted(StoreError),
}

/// Does a batch: in one transaction, without the work of organizations of which some has failed midway, which is done alone.
fn serve(
    session: &Session,
    mut batch: queue::Batch<Box<dyn Work>>,
    batches: &mut Batches<Box<dyn Work>>,
    suspects: &mut HashSet<OrganizationId>,
) {
    let jobs = mem::take(&mut batch.jobs);
    let (mut alone, jobs): (Jobs, Jobs) =
        jobs.into_iter().partition(|(load, _)| suspects.contains(&load.organization));
    batch.jobs = jobs;
    let mut outcome = transact(session, &mut batch.jobs, |jobs| batches.join(jobs));
    while let Err(Undone::Torn(place, error)) = outcome {
        let torn = batch.jobs[place].0.organization;
        tracing::warn!(%error, organization_id = %torn, "a change failed midway: its organization's are done alone");
        if suspects.len() < MOST_SUSPECTS {
            suspects.insert(torn);
        }
        let (its, others): (Jobs, Jobs) =
            mem::take(&mut batch.jobs).into_iter().partition(|(load, _)| load.organization == torn);
        alone.extend(its);
        batch.jobs = others;
        outcome = transact(session, &mut batch.jobs, |_| {});
    }
    let jobs = mem::take(&mut batch.jobs);
    match outcome {
        Err(Undone::Uncommitted(error)) if jobs.len() > 1 => {
            tracing::warn!(%error, changes = jobs.len(), "a batch was not committed, its changes are done one by one");
            alone.extend(jobs);
        }
        outcome => answer(jobs, outcome),
    }
    for (load, job) in alone {
        if serve_alone(session, (load, job)) {
            suspects.remove(&load.organization);
        }
    }
}

/// Does one job in a transaction of its own; says whether it succeeded.
fn serve_alone(session: &Session, job: (Load, Box<dyn Work>)) -> bool {
    let mut jobs = vec![job];
    let outcome = transact(session, &mut jobs, |_| {});
    let has_succeeded = outcome.is_ok() && jobs.iter().all(|(_, job)| job.has_succeeded());
    answer(jobs, outcome);
    has_succeeded
}

fn answer(jobs: Jobs, outcome: Result<(), Undone>) {
    let error = |(Undone::NotBegun(error) | Undone::Torn(_, error) | Undone::Uncommitted(error))| error;
    let failed = outcome.map_err(error).err().map(Arc::new);
    for (_, job) in jobs {
        job.answer(failed.as_ref().map(StoreError::shared));
    }
}

/// Does all jobs in one transaction, with those that `joining` adds meanwhile. Nothing of it stays unless all of it does.
fn transact(session: &Session, jobs: &mut Jobs, joining: impl FnMut(&mut Jobs)) -> Result<(), Undone> {
    if jobs.is_empty() {
        return Ok(());
    }
    let conn = &session.conn;
    // A transaction that could not be undone before must be undone now, or nothing could ever be written again.
    undo(conn).and_then(|()| Ok(begin(conn)?)).map_err(Undone::NotBegun)?;
    let outcome = run_all(session, jobs, joining);
    if outcome.is_err()
        && let Err(error) = undo(conn)
    {
        tracing::error!(%error, "can't roll back");
    }
    outcome
}

fn begin(conn: &Connection) -> rusqlite::Result<()> {
    query::execute(conn, "BEGIN IMMEDIATE", ()).map(drop)
}

/// Runs all jobs; then those that `joining` adds to them; and so on, and commits once it adds none. Who joins shares the commit,
/// instead of waiting for it and for the next. A job that fails before it has written anything fails alone; one that fails
/// afterwards takes the transaction with it, unless it is the only one, which is then undone and has its own answer.
fn run_all(session: &Session, jobs: &mut Jobs, mut joining: impl FnMut(&mut Jobs)) -> Result<(), Undone> {
    let Session { conn, signer, sink, .. } = session;
    let events = sink.are_wanted().then(RefCell::default);
    let batch = Batch { conn, signer: signer.as_deref(), heads: RefCell::default(), events };
    let mut done = 0;
    while let Some((_, job)) = jobs.get_mut(done) {
        let written = conn.total_changes();
        // The caller may be gone by now, as when the transaction had to wait for another process.
        let ran = catch_unwind(AssertUnwindSafe(|| job.is_abandoned() || job.run(&batch)));
        let Ok(is_settled) = ran else {
            return Err(Undone::Torn(done, StoreError::Internal("a change panicked".into())));
        };
        let is_sound = !conn.is_autocommit() && (is_settled || conn.total_changes() == written);
        if !is_sound {
            if jobs.len() == 1 && !is_settled {
                return undo(conn).map_err(Undone::Uncommitted);
            }
            return Err(Undone::Torn(done, StoreError::Internal("a change failed midway".into())));
        }
        done += 1;
        if done == jobs.len() {
            joining(jobs);
        }
    }
    let commit = || query::execute(conn, "COMMIT", ()).map(drop);
    let committed = batch.write_heads().and_then(|()| commit()).map_err(StoreError::from);
    committed.and_then(|()| session.check_committed()).map_err(Undone::Uncommitted)?;
    if let Some(events) = batch.events {
        sink.tell(events.into_inner());
    }
    Ok(())
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
    use std::{fs, path::Path, sync::mpsc};

    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::{
        super::file::{DatabaseFile, Identity, beside},
        *,
    };

    fn opened(path: &Path) -> Connection {
        let conn = Connection::open(path).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x)").unwrap();
        conn
    }

    #[tokio::test]
    async fn what_is_committed_while_the_file_is_moved_is_not_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let conn = opened(&path);
        let file = Arc::new(DatabaseFile::opened(&path, Identity::of(&path).unwrap()).unwrap());
        let checkpoints = Checkpoints::start(opened(&path), Arc::clone(&file)).unwrap();
        let moved = path.clone();
        // Right after the look that every commit takes.
        let look_and_move = move || file.is_lost() || fs::rename(&moved, beside(&moved, ".moved")).is_err();
        conn.commit_hook(Some(look_and_move)).unwrap();
        let writer =
            Writer::start(conn, Some(checkpoints), None, GroupCommit::DEFAULT, None, Commits::default())
                .unwrap();
        let load = Load { organization: OrganizationId::NONE, bytes: 0 };
        let insert = |batch: &Batch<'_>| Ok(batch.conn.execute("INSERT INTO t VALUES (1)", ())?);
        let told = writer.run(load, insert).await;
        assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
        writer.close().await;
        // It may have happened, as with every error of that kind.
        let committed =
            opened(&beside(&path, ".moved")).query_row("SELECT count(*) FROM t", (), |row| row.get(0));
        assert_eq!(committed, Ok(1));
    }

    #[tokio::test]
    async fn a_change_that_arrives_during_a_batch_joins_it() {
        let conn = Connection::open_in_memory().unwrap();
        let writer = Writer::start(conn, None, None, GroupCommit::DEFAULT, None, Commits::default()).unwrap();
        let organization = OrganizationId::from_uuid(Uuid::nil());
        let (begun, (go_on, told)) = (Arc::new(Notify::new()), mpsc::channel());
        let has_begun = Arc::clone(&begun);
        let load = Load { organization, bytes: 0 };
        let first = writer.run(load, move |batch| {
            batch.record_head(organization, Head::EMPTY);
            begun.notify_one();
            told.recv().map_err(|error| StoreError::Internal(error.into()))
        });
        let second = async {
            has_begun.notified().await;
            let asked = writer.run(load, move |batch| Ok(batch.head(organization).is_some()));
            tokio::join!(asked, async { go_on.send(()).unwrap() }).0
        };
        let (first, is_same_batch) = tokio::join!(first, second);
        first.unwrap();
        assert!(is_same_batch.unwrap());
    }
}
