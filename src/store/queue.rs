//! Group commit: what arrives while a commit is on its way waits here, and all of it shares the next one.
//!
//! Nothing waits for a timer. Where one caller at a time writes, each call is a batch of its own and starts at once; where
//! many do, a batch holds what has gathered meanwhile, and on SQLite also what arrives until it is ready to commit. A caller
//! that goes away takes nothing out of a batch that has begun.

use std::iter;

use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// How changes share commits.
#[derive(Debug, Clone, Copy)]
pub struct GroupCommit {
    /// How many changes share a commit at most; 1 gives each its own.
    pub size: usize,
    /// How many changes may wait for the next commit; one more is refused with [`StoreError::Busy`].
    pub waiting: usize,
    /// How many commits PostgreSQL works on at once, each for other organizations; SQLite has one writer.
    pub in_flight: usize,
}

impl GroupCommit {
    /// What was measured to be best on two cores (`docs/performance.md`).
    pub const DEFAULT: Self = Self { size: 512, waiting: 4_096, in_flight: 1 };
}

/// Where the answer to a job goes.
pub type Answering<A> = oneshot::Sender<Result<A, StoreError>>;

enum Message<J> {
    Job(J),
    /// Nothing follows; the sender is dropped once all that was queued is done.
    Close(oneshot::Sender<()>),
}

/// The end that jobs are put into.
pub struct Queue<J> {
    sender: mpsc::Sender<Message<J>>,
}

/// The end that batches are taken from.
pub struct Batches<J> {
    receiver: mpsc::Receiver<Message<J>>,
    size: usize,
    messages: Vec<Message<J>>,
    closing: Vec<oneshot::Sender<()>>,
}

/// A queue of at most `waiting` jobs, taken in batches of at most `size`.
pub fn queue<J>(waiting: usize, size: usize) -> (Queue<J>, Batches<J>) {
    let (sender, receiver) = mpsc::channel(waiting);
    (Queue { sender }, Batches { receiver, size, messages: Vec::new(), closing: Vec::new() })
}

impl<J> Queue<J> {
    /// Puts in the job that `job` makes, and waits for its answer.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait already; [`StoreError::Unavailable`] after [`Self::close`]; what the job
    /// answers.
    pub async fn ask<A>(&self, job: impl FnOnce(Answering<A>) -> J) -> Result<A, StoreError> {
        let (answering, answer) = oneshot::channel();
        self.sender.try_send(Message::Job(job(answering))).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Unavailable("the store is closed".into()),
        })?;
        let gone = |_| Err(StoreError::Internal("a batch was given up without an answer".into()));
        answer.await.unwrap_or_else(gone)
    }

    /// Takes no more jobs, and waits until those that were queued are done.
    pub async fn close(&self) {
        let (closing, drained) = oneshot::channel();
        if self.sender.send(Message::Close(closing)).await.is_ok() {
            // Told by being dropped.
            let _ = drained.await;
        }
    }
}

impl<J> Batches<J> {
    /// Waits for jobs, and takes all that are queued; `None` when the queue is closed and empty.
    pub async fn next(&mut self) -> Option<Vec<J>> {
        let count = self.receiver.recv_many(&mut self.messages, self.size).await;
        self.sort_out(count)
    }

    /// The same on a thread of its own.
    pub fn next_blocking(&mut self) -> Option<Vec<J>> {
        let count = self.receiver.blocking_recv_many(&mut self.messages, self.size);
        self.sort_out(count)
    }

    /// What has been queued since, as far as it may join a batch that holds `taken` jobs; waits for nothing.
    pub fn more(&mut self, taken: usize) -> Vec<J> {
        let room = self.size.saturating_sub(taken);
        let arrived = iter::from_fn(|| self.receiver.try_recv().ok()).take(room);
        self.messages.extend(arrived);
        self.sort_out(self.messages.len()).unwrap_or_default()
    }

    fn sort_out(&mut self, count: usize) -> Option<Vec<J>> {
        let mut jobs = Vec::with_capacity(count);
        for message in self.messages.drain(..) {
            match message {
                Message::Job(job) => jobs.push(job),
                Message::Close(closing) => {
                    self.receiver.close();
                    self.closing.push(closing);
                }
            }
        }
        (count > 0).then_some(jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Job = (u32, Answering<u32>);

    fn answer(jobs: Vec<Job>) {
        for (number, answering) in jobs {
            answering.send(Ok(number)).unwrap();
        }
    }

    #[tokio::test]
    async fn all_that_waits_is_one_batch_as_far_as_it_may_be() {
        let (queue, mut batches) = queue::<Job>(8, 3);
        let asked = (0..4).map(|number| queue.ask(move |answering| (number, answering)));
        let worker = async {
            let mut sizes = Vec::new();
            for _ in 0..2 {
                let jobs = batches.next().await.unwrap();
                sizes.push(jobs.len());
                answer(jobs);
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
        let (queue, mut batches) = queue::<Job>(8, 3);
        let asked = (0..4).map(|number| queue.ask(move |answering| (number, answering)));
        let worker = async {
            assert_eq!(batches.more(3).len(), 0, "there is no room");
            let mut jobs = batches.more(1);
            assert_eq!(jobs.len(), 2);
            jobs.extend(batches.more(0));
            assert_eq!(batches.more(0).len(), 0, "nothing waits");
            answer(jobs);
        };
        let [a, b, c, d] = <[_; 4]>::try_from(asked.collect::<Vec<_>>()).ok().unwrap();
        let (a, b, c, d, ()) = tokio::join!(a, b, c, d, worker);
        assert_eq!([a, b, c, d].map(Result::unwrap), [0, 1, 2, 3]);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (queue, mut batches) = queue::<Job>(1, 3);
        let (first, second, ()) = tokio::join!(
            queue.ask(|answering| (1, answering)),
            async { queue.ask(|answering| (2, answering)).await },
            async { answer(batches.next().await.unwrap()) },
        );
        assert_eq!(first.unwrap(), 1);
        assert!(matches!(second, Err(StoreError::Busy)), "{second:?}");
    }

    #[tokio::test]
    async fn what_was_queued_is_done_before_the_queue_is_closed() {
        let (queue, mut batches) = queue::<Job>(8, 1);
        let worker = tokio::spawn(async move {
            while let Some(jobs) = batches.next().await {
                tokio::task::yield_now().await;
                answer(jobs);
            }
        });
        let (one, two, ()) = tokio::join!(
            queue.ask(|answering| (1, answering)),
            queue.ask(|answering| (2, answering)),
            queue.close(),
        );
        assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
        worker.await.unwrap();
        let late = queue.ask(|answering| (3, answering)).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
        queue.close().await;
    }
}
