//! Sends answers piece by piece, as their callers read them, and keeps count of the memory that they hold.
//!
//! All pieces of an answer share its memory, so that its room is kept until the last piece is written. Over HTTP/2 the last
//! one may wait in the queue of its stream for a caller that reads no further: the answer ends only after it, so that the
//! clock of its task ([`super::stalling`]) runs until then.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::connection_state::{Call, Held};
use crate::{
    answers::{self, Reserved},
    call::stream::WithoutEnd,
};

/// How much of an answer is handed over at once: the rest waits until the caller has taken it.
const PIECE: usize = 64 * 1024;
/// From which size on the end of an answer waits for its last piece.
const LARGE: usize = 16 * 1024;

/// The answer of `call`, which counts as being sent until its end.
pub fn send(call: Call, mut answer: Response) -> Response {
    let (held, patience) = call.answered(answer.extensions().get::<WithoutEnd>().is_some());
    let mut room = answers::take(&mut answer);
    if let (Some(room), Some(size)) = (&mut room, answer.body().size_hint().exact()) {
        room.keep_for(usize::try_from(size).unwrap_or(usize::MAX));
    }
    let room = room.map(Arc::new);
    answer.map(|body| Body::new(Sending { rest: Bytes::new(), written: None, body, held, patience, room }))
}

/// The body of an answer, handed over piece by piece.
struct Sending {
    /// The rest of the body's last data, still to be handed over.
    rest: Bytes,
    /// Is done when the last piece of that data is written.
    written: Option<oneshot::Receiver<()>>,
    body: Body,
    held: Held,
    patience: Duration,
    /// Given back after all else: also the body may hold the memory of its data.
    room: Option<Arc<Reserved>>,
}

/// Data that knows when its last piece is dropped.
struct Tracked {
    data: Bytes,
    _room: Option<Arc<Reserved>>,
    _written: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Sending {
    /// Takes over the next data of the body.
    fn begin(&mut self, data: Bytes) {
        let is_small = self.room.is_none() && data.len() < LARGE;
        if is_small || data.is_empty() {
            self.rest = data;
            return;
        }
        // Nothing of it is handed over yet, so that nobody else has its room.
        if let Some(room) = self.room.as_mut().and_then(Arc::get_mut) {
            room.keep_for(data.len());
        }
        let (sender, written) = oneshot::channel();
        self.rest = Bytes::from_owner(Tracked { data, _room: self.room.clone(), _written: sender });
        self.written = Some(written);
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            if let Some(written) = &mut self.written {
                // Nothing is ever sent: this answers when the sender is dropped with its data.
                let _ = ready!(Pin::new(written).poll(context));
                self.written = None;
            }
            let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
                // The caller has taken all that there was.
                self.held.moved(false, self.patience);
                return Poll::Pending;
            };
            match polled {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.begin(data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        self.held.moved(true, self.patience);
        let size = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.written.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http::Version;

    use super::*;
    use crate::{
        answers::{AnswerLimits, Answers},
        call::Connection,
        server::connection_state::ConnectionState,
    };

    #[test]
    fn a_large_answer_ends_after_its_last_piece_is_written() {
        let connection = Connection::new(Answers::new(AnswerLimits::DEFAULT), None, None);
        let state = Arc::new(ConnectionState::new(connection, Duration::MAX, None));
        let answer = Response::new(Body::from("x".repeat(PIECE + LARGE)));
        let mut answer = send(ConnectionState::begin(&state, Version::HTTP_2), answer);
        let mut context = Context::from_waker(Waker::noop());
        let mut next = || Pin::new(answer.body_mut()).poll_frame(&mut context);
        let Poll::Ready(Some(Ok(first))) = next() else { panic!("the first piece") };
        let Poll::Ready(Some(Ok(last))) = next() else { panic!("the last piece") };
        assert_eq!(last.data_ref().unwrap().len(), LARGE);
        drop(first);
        assert!(next().is_pending(), "the last piece waits to be written");
        drop(last);
        assert!(matches!(next(), Poll::Ready(None)));
    }
}
