//! Connections whose answers gather: calls that end together are answered with one write.
//!
//! Sending its answer is a large part of what a small call costs (`docs/performance.md`). Calls that share a commit, or a look-up,
//! end at the same moment, but each wakes its connection, which would be written to for each of them. So while it has calls in
//! work, a connection lets every task go first that is ready to run, and writes then. No timer is involved, and one call at a
//! time waits for nothing.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_state::ConnectionState;

/// A connection that lets others go first before it writes.
pub struct Coalescing<S> {
    stream: S,
    state: Arc<ConnectionState>,
    /// True where the others have had their turn since the last write.
    is_due: bool,
}

impl<S> Coalescing<S> {
    /// Gathers what is written to `stream` while there are calls in work.
    pub const fn new(stream: S, state: Arc<ConnectionState>) -> Self {
        Self { stream, state, is_due: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalescing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.state.read();
        }
        Poll::Ready(Ok(()))
    }
}

/// `is_write_vectored` is false, as by default, on purpose: hyper then copies an answer of up to a kilobyte behind its head,
/// instead of writing both as a list.
impl<S: AsyncWrite + Unpin> AsyncWrite for Coalescing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_due && self.state.is_working() {
            self.is_due = true;
            // A task that wakes itself goes to the end of the queue.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.is_due = false;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Wake, Waker},
        time::Duration,
    };

    use http::Version;

    use super::*;
    use crate::{
        answers::{AnswerLimits, Answers},
        call::Connection,
    };

    fn state() -> Arc<ConnectionState> {
        let connection = Connection::new(Answers::new(AnswerLimits::DEFAULT), None, None);
        Arc::new(ConnectionState::new(connection, Duration::MAX, None))
    }

    /// Remembers that it was woken.
    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn an_answer_waits_one_turn_for_those_of_other_calls() {
        let state = state();
        let mut connection = Coalescing::new(Vec::new(), Arc::clone(&state));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut write = |bytes| Pin::new(&mut connection).poll_write(&mut Context::from_waker(&waker), bytes);
        let is_written = |written| matches!(written, Poll::Ready(Ok(3)));

        assert!(is_written(write(b"one")), "nothing else is in work");
        let call = ConnectionState::begin(&state, Version::HTTP_2);
        assert!(write(b"two").is_pending(), "another call is in work");
        assert!(woken.0.load(std::sync::atomic::Ordering::Relaxed));
        assert!(is_written(write(b"two")));
        assert!(write(b"six").is_pending(), "the next answer waits again");
        drop(call);
        assert!(is_written(write(b"six")));
        assert_eq!(connection.stream, b"onetwosix");
    }

    #[test]
    fn a_full_socket_is_not_waited_for_twice() {
        let state = state();
        let _call = ConnectionState::begin(&state, Version::HTTP_2);
        let (mine, mut theirs) = tokio::io::duplex(3);
        let mut connection = Coalescing::new(mine, state);
        let mut cx = Context::from_waker(Waker::noop());
        let mut write = |bytes| Pin::new(&mut connection).poll_write(&mut cx, bytes);
        assert!(write(b"one").is_pending());
        assert!(matches!(write(b"one"), Poll::Ready(Ok(3))));
        assert!(write(b"two").is_pending(), "for the others");
        assert!(write(b"two").is_pending(), "for the socket");
        let mut read = [0; 3];
        let reading = Pin::new(&mut theirs)
            .poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut read));
        assert!(reading.is_ready());
        assert!(matches!(write(b"two"), Poll::Ready(Ok(3))));
    }
}
