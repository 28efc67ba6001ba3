//! Calls that wait for a batch, and how their answers go out.

use crate::store::{
    StoreError,
    queue::{Answering, Job, Load, Queue},
};

/// One call that waits in a queue.
pub struct Waiting<Q, A> {
    /// The question.
    pub asked: Q,
    /// The receiver of the answer.
    pub answering: Answering<A>,
}

/// The queue of calls that ask `Q` and are answered `A`.
pub type Calls<Q, A> = Queue<Waiting<Q, A>>;

impl<Q: Send, A: Send> Job for Waiting<Q, A> {
    fn is_abandoned(&self) -> bool {
        self.answering.is_closed()
    }

    fn refuse(self, error: StoreError) {
        self.answer(Err(error));
    }
}

impl<Q, A> Waiting<Q, A> {
    /// Answers it. Where the caller is gone, nobody wants to know.
    pub fn answer(self, answer: Result<A, StoreError>) {
        let _ = self.answering.send(answer);
    }
}

/// Asks, and waits for the answer.
pub async fn ask<Q: Send, A: Send>(calls: &Calls<Q, A>, load: Load, asked: Q) -> Result<A, StoreError> {
    calls.ask(load, |answering| Waiting { asked, answering }).await
}

/// Answers all calls with the same failure.
pub fn fail_all<Q, A>(calls: impl ExactSizeIterator<Item = Waiting<Q, A>>, error: StoreError) {
    let failures = error.for_each(calls.len());
    calls.zip(failures).for_each(|(call, failure)| call.answer(failure));
}
