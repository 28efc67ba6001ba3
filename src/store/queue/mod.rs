//! Group commit: what arrives while a commit is on its way waits here, and all of it shares the next one.
//!
//! Nothing waits for a timer. Where one caller at a time writes, each call is a batch of its own and starts at once; where
//! many do, a batch holds what has gathered meanwhile, and on SQLite also what arrives until it is ready to commit. A caller
//! that goes away takes nothing out of a batch that has begun.
//!
//! Organizations are served in turns (`turns.rs`), and the changes of one organization are never in two batches at once, where
//! several workers take batches. Where several batches can be in work, each worker has a [`Lane`].

mod contention;
mod lanes;
mod turns;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, oneshot, watch};

pub use contention::{Contended, Lane, REST};
pub use turns::{Amount, Load};

use self::{
    lanes::{Lanes, Next},
    turns::Taken,
};
use super::StoreError;
use crate::domain::OrganizationId;

pub use crate::config::GroupCommit;

impl GroupCommit {
    /// How many bytes of changes share a commit: a batch of large ones must not hold up others for long.
    const BATCH_BYTES: usize = 2 * 1024 * 1024;
    /// How many bytes of changes may wait.
    const WAITING_BYTES: usize = 64 * 1024 * 1024;

    /// How many changes may wait, and how many bytes of them.
    pub const fn room(&self) -> Amount {
        Amount { count: self.waiting, bytes: Self::WAITING_BYTES }
    }

    /// The most that one commit holds.
    pub const fn batch(&self) -> Amount {
        Amount { count: self.size, bytes: Self::BATCH_BYTES }
    }
}

/// The receiver of the answer to a job.
pub type Answering<A> = oneshot::Sender<Result<A, StoreError>>;

/// A job that waits in the queue.
pub trait Job: Send {
    /// Returns true where nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Answers that it is not done, and why.
    fn refuse(self, error: StoreError);
}

/// The end that jobs are put into.
pub struct Queue<J: Job> {
    shared: Arc<Shared<J>>,
}

/// The end that one worker takes batches from.
pub struct Batches<J: Job> {
    shared: Arc<Shared<J>>,
    lane: Lane,
}

struct Shared<J> {
    lanes: Mutex<Lanes<J>>,
    /// One for each lane: there may be something to take.
    arrived: [Notify; Lane::COUNT],
    /// How many workers there are.
    workers: watch::Sender<usize>,
}

/// Jobs that are done together. Until it is dropped, their organizations are in no other batch.
pub struct Batch<J: Job> {
    /// The jobs; those of one organization in their order.
    pub jobs: Vec<(Load, J)>,
    /// The organizations that the batch keeps others from.
    held: Vec<OrganizationId>,
    units: usize,
    lane: Lane,
    shared: Arc<Shared<J>>,
}

/// A queue with room for `room`, from which workers take batches of at most `batch`, or of at most `shared` while several
/// organizations put something in.
pub fn queue<J: Job>(room: Amount, batch: Amount, shared: Amount) -> Queue<J> {
    let shared = Shared {
        lanes: Mutex::new(Lanes::new(room, batch, shared)),
        arrived: [const { Notify::const_new() }; Lane::COUNT],
        workers: watch::Sender::new(0),
    };
    Queue { shared: Arc::new(shared) }
}

impl<J: Job> Shared<J> {
    fn lanes(&self) -> MutexGuard<'_, Lanes<J>> {
        // The state is consistent between changes, none of which runs code that may panic halfway.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, lanes: impl IntoIterator<Item = Lane>) {
        lanes.into_iter().for_each(|lane| self.arrived[lane as usize].notify_one());
    }

    fn wake_all(&self) {
        self.arrived.iter().for_each(Notify::notify_waiters);
        self.wake(Lane::ALL);
    }
}

impl<J: Job> Queue<J> {
    /// A worker's end.
    pub fn batches(&self, lane: Lane) -> Batches<J> {
        self.shared.workers.send_modify(|workers| *workers += 1);
        Batches { shared: Arc::clone(&self.shared), lane }
    }

    /// Puts in the job that `job` makes, and waits for its answer.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait already; [`StoreError::Unavailable`] after [`Self::close`]; what the job
    /// answers.
    pub async fn ask<A>(&self, load: Load, job: impl FnOnce(Answering<A>) -> J) -> Result<A, StoreError> {
        let (answering, answer) = oneshot::channel();
        let woken = self.shared.lanes().push(load, job(answering));
        match woken {
            Some(lanes) => self.shared.wake(lanes.into_iter().flatten()),
            None => return Err(StoreError::Unavailable("the store is closed".into())),
        }
        let gone = |_| Err(StoreError::Internal("a batch was given up without an answer".into()));
        answer.await.unwrap_or_else(gone)
    }

    /// Takes no more jobs, and waits until those that were queued are done.
    pub async fn close(&self) {
        self.end();
        // The sender lasts as long as this.
        let _ = self.shared.workers.subscribe().wait_for(|workers| *workers == 0).await;
    }

    fn end(&self) {
        self.shared.lanes().close();
        self.shared.wake_all();
    }
}

impl<J: Job> Drop for Queue<J> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<J: Job> Batches<J> {
    /// Waits for jobs, and takes all that may be done together; `None` when the queue is closed and all of it is done.
    pub async fn next(&mut self) -> Option<Batch<J>> {
        loop {
            let arrived = self.shared.arrived[self.lane as usize].notified();
            let next = self.shared.lanes().next(self.lane, Instant::now());
            match next {
                Next::Batch(taken) => return Some(self.hold(taken)),
                Next::End => return None,
                Next::Wait(None) => arrived.await,
                Next::Wait(Some(until)) => {
                    let _ = tokio::time::timeout_at(until.into(), arrived).await;
                }
            }
        }
    }

    /// Adds to the jobs of a batch what has been queued since, as far as it may join them; waits for nothing.
    pub fn join(&mut self, jobs: &mut Vec<(Load, J)>) {
        let joining = self.shared.lanes().join(jobs);
        jobs.extend(joining.jobs);
    }

    fn hold(&self, taken: Taken<J>) -> Batch<J> {
        let mut held: Vec<_> = taken.jobs.iter().map(|(load, _)| load.organization).collect();
        held.sort_unstable();
        held.dedup();
        if self.shared.lanes().has_more() {
            self.shared.wake([Lane::Main, Lane::Express]);
        }
        Batch {
            jobs: taken.jobs,
            held,
            units: taken.units,
            lane: self.lane,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<J: Job> Drop for Batches<J> {
    fn drop(&mut self) {
        self.shared.workers.send_modify(|workers| *workers -= 1);
        if *self.shared.workers.borrow() == 0 {
            // Nobody is left who would do them. Dropped outside of the lock, for their callers learn of it.
            let left = self.shared.lanes().abandon();
            drop(left);
        }
    }
}

impl<J: Job> Batch<J> {
    /// The organizations that it has jobs of.
    pub fn organizations(&self) -> &[OrganizationId] {
        &self.held
    }

    /// Puts jobs of the batch back before those of their organizations that have arrived since, for [`Lane::Contended`] or
    /// [`Lane::Locked`].
    pub fn put_back(&self, jobs: Vec<(Load, J)>, contended: Contended) {
        self.shared.lanes().put_back(jobs, contended);
    }

    /// Notes that the jobs of a contended organization were done, and whether another instance was seen at work on it.
    pub fn calm(&self, organization: OrganizationId, is_alone: bool) {
        self.shared.lanes().calm(organization, is_alone);
    }
}

impl<J: Job> Drop for Batch<J> {
    fn drop(&mut self) {
        let woken = self.shared.lanes().finish(self.lane, &self.held, self.units);
        if woken {
            self.shared.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    struct Number(u32, Answering<u32>);

    impl Job for Number {
        fn is_abandoned(&self) -> bool {
            self.1.is_closed()
        }

        fn refuse(self, error: StoreError) {
            let _ = self.1.send(Err(error));
        }
    }

    const LOAD: Load = Load { organization: OrganizationId::from_uuid(Uuid::nil()), bytes: 0 };

    fn small(waiting: usize, size: usize) -> Queue<Number> {
        let batch = Amount { count: size, bytes: usize::MAX };
        queue(Amount { count: waiting, bytes: usize::MAX }, batch, batch)
    }

    fn answer(mut batch: Batch<Number>) -> usize {
        let jobs = std::mem::take(&mut batch.jobs);
        let count = jobs.len();
        for (_, Number(number, answering)) in jobs {
            answering.send(Ok(number)).unwrap();
        }
        count
    }

    #[tokio::test]
    async fn all_that_waits_is_one_batch_as_far_as_it_may_be() {
        let queue = small(8, 3);
        let mut batches = queue.batches(Lane::Main);
        let asked = (0..4).map(|number| queue.ask(LOAD, move |answering| Number(number, answering)));
        let worker = async {
            let mut sizes = Vec::new();
            for _ in 0..2 {
                sizes.push(answer(batches.next().await.unwrap()));
            }
            sizes
        };
        let [a, b, c, d] = <[_; 4]>::try_from(asked.collect::<Vec<_>>()).ok().unwrap();
        let (a, b, c, d, sizes) = tokio::join!(a, b, c, d, worker);
        assert_eq!([a, b, c, d].map(Result::unwrap), [0, 1, 2, 3]);
        assert_eq!(sizes, [3, 1]);
    }

    #[tokio::test]
    async fn what_arrives_may_join_a_batch_as_far_as_it_has_room() {
        let queue = small(8, 3);
        let mut batches = queue.batches(Lane::Main);
        let asked = (0..4).map(|number| queue.ask(LOAD, move |answering| Number(number, answering)));
        let mut asked = asked.map(Box::pin).collect::<Vec<_>>();
        let worker = async {
            let mut batch = batches.next().await.unwrap();
            assert_eq!(batch.jobs.len(), 1);
            tokio::task::yield_now().await;
            batches.join(&mut batch.jobs);
            let first = answer(batch);
            (first, answer(batches.next().await.unwrap()))
        };
        let last = asked.split_off(1);
        let others = async {
            tokio::task::yield_now().await;
            let [b, c, d] = <[_; 3]>::try_from(last).ok().unwrap();
            tokio::join!(b, c, d)
        };
        let (_, others, sizes) = tokio::join!(asked.remove(0), others, worker);
        assert_eq!([others.0, others.1, others.2].map(Result::unwrap), [1, 2, 3]);
        assert_eq!(sizes, (3, 1));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let queue = small(1, 3);
        let mut batches = queue.batches(Lane::Main);
        let (first, second, _) = tokio::join!(
            queue.ask(LOAD, |answering| Number(1, answering)),
            async { queue.ask(LOAD, |answering| Number(2, answering)).await },
            async { answer(batches.next().await.unwrap()) },
        );
        assert_eq!(first.unwrap(), 1);
        assert!(matches!(second, Err(StoreError::Busy)), "{second:?}");
    }

    #[tokio::test]
    async fn what_was_queued_is_done_before_the_queue_is_closed() {
        let queue = small(8, 1);
        let mut batches = queue.batches(Lane::Main);
        let worker = tokio::spawn(async move {
            while let Some(batch) = batches.next().await {
                tokio::task::yield_now().await;
                answer(batch);
            }
        });
        let (one, two, ()) = tokio::join!(
            queue.ask(LOAD, |answering| Number(1, answering)),
            queue.ask(LOAD, |answering| Number(2, answering)),
            queue.close(),
        );
        assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
        worker.await.unwrap();
        let late = queue.ask(LOAD, |answering| Number(3, answering)).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
        queue.close().await;
    }

    #[tokio::test]
    async fn what_nobody_will_do_is_answered() {
        let queue = small(8, 1);
        let batches = queue.batches(Lane::Main);
        let asked = queue.ask(LOAD, |answering| Number(1, answering));
        let (asked, ()) = tokio::join!(asked, async { drop(batches) });
        assert!(matches!(asked, Err(StoreError::Internal(_))), "{asked:?}");
    }
}
