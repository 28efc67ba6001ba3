//! A clock for each answer over HTTP/2: one of which nothing is taken for too long is ended, whatever else happens on its
//! connection.
//!
//! A caller that takes nothing closes its window, and then nobody asks the body for more: only the task of the call can
//! look at the time. Over HTTP/1.1 the connection looks ([`super::connection_state::ConnectionState::ended`]): it has one answer at a time.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

/// How long an answer waits to be taken: since when, and how long it may.
pub type Waiting = Option<(Instant, Duration)>;

thread_local! {
    /// The wait of the answer whose task is being polled. No state of a call: it is taken out after each poll, so that it
    /// costs no allocation to share.
    static WAITING: Cell<Waiting> = const { Cell::new(None) };
}

/// Notes, within the task of a call, that its answer waits to be taken, or that the answer waits for us.
pub fn note(waiting: Waiting) {
    WAITING.set(waiting);
}

/// Runs each call of a connection that speaks HTTP/2 in a task of its own, with a clock.
#[derive(Debug, Clone, Copy)]
pub struct Tasks;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, call: F) {
        tokio::spawn(Timed { call, waiting: None, timer: None });
    }
}

pin_project! {
    /// A call, dropped when its answer is not taken, which resets its stream.
    struct Timed<F> {
        #[pin]
        call: F,
        waiting: Waiting,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        WAITING.set(*this.waiting);
        let polled = this.call.poll(context);
        *this.waiting = WAITING.take();
        match (polled, *this.waiting) {
            (Poll::Ready(_), _) => Poll::Ready(()),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some((since, patience))) => wait(this.timer, since + patience, context),
        }
    }
}

/// Is ready once it is `deadline`. A timer that is there is only moved when it fires.
fn wait(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
    ready!(timer.as_mut().poll(context));
    if Instant::now() < deadline {
        timer.as_mut().reset(deadline);
        ready!(timer.as_mut().poll(context));
    }
    tracing::debug!("an answer was not taken: its stream is reset");
    Poll::Ready(())
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn timed(call: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Timed { call, waiting: None, timer: None }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_is_ended_a_minute_after_it_last_was() {
        let began = Instant::now();
        timed(async {
            note(Some((Instant::now(), PATIENCE)));
            tokio::time::sleep(PATIENCE / 2).await;
            note(Some((Instant::now(), PATIENCE)));
            pending::<()>().await;
        })
        .await;
        assert_eq!(began.elapsed().as_secs(), 90);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_waits_for_us_is_not_ended() {
        let call = timed(poll_fn(|_| {
            note(Some((Instant::now(), PATIENCE)));
            note(None);
            Poll::Pending
        }));
        assert!(tokio::time::timeout(10 * PATIENCE, call).await.is_err());
    }
}
