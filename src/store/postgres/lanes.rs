//! The workers that take batches from queues, and keep what befalls one call from its neighbours.

use std::{future::Future, sync::Arc};

use crate::store::{
    StoreError,
    queue::{Answering, Batches, Queue, queue},
};

/// One call that waits in a queue.
pub struct Waiting<Q, A> {
    asked: Q,
    answering: Answering<A>,
}

/// The queue of calls that ask `Q` and are answered `A`.
pub type Lane<Q, A> = Queue<Waiting<Q, A>>;

/// What answers a batch.
pub trait Serve<Q, A>: Send + Sync + 'static {
    /// Answers each of `asked`, in that order.
    ///
    /// # Errors
    /// What befell all of them together, so that none of them has happened.
    fn serve(
        &self,
        asked: Vec<Q>,
    ) -> impl Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send;
}

/// Asks, and waits for the answer.
pub async fn ask<Q, A>(lane: &Lane<Q, A>, asked: Q) -> Result<A, StoreError> {
    lane.ask(|answering| Waiting { asked, answering }).await
}

/// Starts a worker that serves what is put into the lane.
pub fn start<Q, A>(waiting: usize, size: usize, server: impl Serve<Q, A>) -> Lane<Q, A>
where
    Q: Clone + Send + 'static,
    A: Send + 'static,
{
    let (lane, batches) = queue(waiting, size);
    tokio::spawn(work(batches, Arc::new(server)));
    lane
}

async fn work<Q, A>(mut batches: Batches<Waiting<Q, A>>, server: Arc<impl Serve<Q, A>>)
where
    Q: Clone + Send + 'static,
    A: Send + 'static,
{
    while let Some(mut calls) = batches.next().await {
        calls.retain(|call| !call.answering.is_closed());
        if calls.is_empty() {
            continue;
        }
        let (asked, answering): (Vec<_>, Vec<_>) =
            calls.into_iter().map(|call| (call.asked, call.answering)).unzip();
        for (answering, answer) in answering.into_iter().zip(serve_all(&server, asked).await) {
            // Where the caller is gone, nobody wants to know.
            let _ = answering.send(answer);
        }
    }
}

/// Serves the batch, or each call alone where something is wrong with one of them.
async fn serve_all<Q, A>(server: &Arc<impl Serve<Q, A>>, asked: Vec<Q>) -> Vec<Result<A, StoreError>>
where
    Q: Clone + Send + 'static,
    A: Send + 'static,
{
    match serve_guarded(server, asked.clone()).await {
        Ok(answers) => return answers,
        Err(error) if asked.len() == 1 => return vec![Err(error)],
        Err(error @ StoreError::Unavailable(_)) => return StoreError::for_each(error, asked.len()),
        Err(_) => {}
    }
    let mut answers = Vec::with_capacity(asked.len());
    for call in asked {
        match serve_guarded(server, vec![call]).await {
            Ok(answer) => answers.extend(answer),
            Err(error) => answers.push(Err(error)),
        }
    }
    answers
}

/// In a task of its own: a panic, as sqlx has for some damaged rows, is a failure like others.
async fn serve_guarded<Q, A>(
    server: &Arc<impl Serve<Q, A>>,
    asked: Vec<Q>,
) -> Result<Vec<Result<A, StoreError>>, StoreError>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    let server = Arc::clone(server);
    let joined = tokio::spawn(async move { server.serve(asked).await }).await;
    joined.unwrap_or_else(|error| Err(StoreError::Internal(error.into())))
}
