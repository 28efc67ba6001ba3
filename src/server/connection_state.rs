//! The state of a connection, which tells silent and stalled ones from those that are at work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::Version;
use tokio::{sync::Notify, time::sleep};

use super::stalling;
use crate::{call::Connection, domain::OrganizationId};

/// How long a connection may take to send the head of a request that it has begun, or of its first.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an HTTP/2 connection may go without a call before it is told to go away.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// How long nothing may be taken of an answer before it is ended.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// The same of an answer that may have no end.
const STREAM_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing may be taken of an answer while the server shuts down.
const LAST_STALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a connection is looked at, so that a head that begins while it is idle is noticed.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);
/// How often a connection that is leaving is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The state of a connection.
pub struct ConnectionState {
    doing: Mutex<Doing>,
    /// The keys it has shown and the calls it has open.
    connection: Connection,
    /// How long it may be idle between two calls over HTTP/1.1.
    idle: Duration,
    /// When it is told to go away, whatever it does.
    until: Option<Instant>,
    /// Tells it that its place is wanted for another.
    displaced: Notify,
}

struct Doing {
    /// Calls that are being worked on.
    calls: usize,
    /// Answers that are being sent.
    answers: usize,
    /// Answers without an end.
    streams: usize,
    /// The protocol, once there was a call.
    version: Option<Version>,
    /// Over HTTP/1.1, whether the head of a next call has begun to come.
    has_begun: bool,
    /// Over HTTP/1.1, whether the caller has yet to take what it was handed of an answer without an end.
    is_handed: bool,
    /// When something last began, moved or ended.
    since: Instant,
    /// When an answer last began or moved.
    moved: Instant,
}

/// Why a connection is told to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was silent, or has taken nothing of an answer.
    Silent,
    /// It is old.
    Old,
    /// It was idle, and its place is wanted for another.
    Displaced,
}

impl ConnectionState {
    /// A connection that has done nothing yet, may be `idle` for so long, and lasts for at most `max_age`.
    pub fn new(connection: Connection, idle: Duration, max_age: Option<Duration>) -> Self {
        let since = Instant::now();
        let doing = Doing {
            calls: 0,
            answers: 0,
            streams: 0,
            version: None,
            has_begun: false,
            is_handed: false,
            since,
            moved: since,
        };
        let until = max_age.and_then(|age| since.checked_add(age));
        Self { doing: Mutex::new(doing), connection, idle, until, displaced: Notify::new() }
    }

    /// Notes that a call has begun.
    pub fn begin(state: &Arc<Self>, version: Version) -> Call {
        state.change(|doing| {
            doing.version = Some(version);
            doing.has_begun = false;
        });
        Call(Held::new(state, |doing| &mut doing.calls))
    }

    /// Notes that bytes have come: over HTTP/1.1, between two calls, they begin the head of the next.
    pub fn read(&self) {
        self.change(|doing| {
            if doing.is_between_calls() && !doing.has_begun && doing.is_http1() {
                doing.has_begun = true;
                doing.since = Instant::now();
            }
        });
    }

    /// The keys it has shown and the calls it has open.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns true once it has shown a valid key.
    pub fn is_known(&self) -> bool {
        self.organization().is_some()
    }

    /// The organization of the first valid key that it has shown.
    pub fn organization(&self) -> Option<OrganizationId> {
        self.connection.organization()
    }

    /// Since when it has been between two calls, if it is.
    pub fn idle_since(&self) -> Option<Instant> {
        self.change(|doing| (doing.is_between_calls() && !doing.has_begun).then_some(doing.since))
    }

    /// Tells it to go away for another connection. Calls that begin meanwhile are answered.
    pub fn displace(&self) {
        self.displaced.notify_one();
    }

    /// When something last began, moved or ended.
    pub fn since(&self) -> Instant {
        self.change(|doing| doing.since)
    }

    /// Is done when the connection is old or displaced, or has been silent, or its caller has taken nothing of an answer, for too long.
    /// A first call must come soon, over any protocol.
    pub async fn ended(&self) -> Ended {
        loop {
            let silent_in = self.change(|doing| {
                let patience = doing.patience(self.idle);
                // A call has a limit of its own, and so has an answer over HTTP/2; a stream lasts as long as both sides want.
                patience.map_or(HEAD_TIMEOUT, |patience| patience.saturating_sub(doing.since.elapsed()))
            });
            let old_in = self.until.map(|until| until.saturating_duration_since(Instant::now()));
            if silent_in.is_zero() {
                return Ended::Silent;
            }
            if old_in.is_some_and(|left| left.is_zero()) {
                return Ended::Old;
            }
            let next = silent_in.min(LOOK_AT_LEAST_EVERY).min(self.idle);
            tokio::select! {
                () = sleep(old_in.map_or(next, |left| left.min(next))) => {}
                () = self.displaced.notified() => return Ended::Displaced,
            }
        }
    }

    /// Is done when every call whose key is valid is answered, and every answer taken or left lying.
    pub async fn answered(&self) {
        let is_busy = |doing: &mut Doing| {
            self.connection.admitted() > 0
                || (doing.answers > 0 && doing.moved.elapsed() < LAST_STALL_TIMEOUT)
        };
        while self.change(is_busy) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Returns true while a call is in work.
    pub fn is_working(&self) -> bool {
        self.change(|doing| doing.calls > 0)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Doing) -> T) -> T {
        // The numbers are whole at every moment, also where a holder has panicked.
        change(&mut self.doing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Doing {
    const fn is_between_calls(&self) -> bool {
        self.calls + self.answers + self.streams == 0
    }

    fn is_http1(&self) -> bool {
        self.version.is_some_and(|version| version < Version::HTTP_2)
    }

    /// How long the connection may stay as it is; `None` where something else has a limit.
    fn patience(&self, idle: Duration) -> Option<Duration> {
        match self {
            Self { calls: 1.., .. } => None,
            Self { answers: 1.., .. } => self.is_http1().then_some(STALL_TIMEOUT),
            Self { streams: 1.., .. } => self.is_handed.then_some(STREAM_STALL_TIMEOUT),
            Self { version: None, .. } | Self { has_begun: true, .. } => Some(HEAD_TIMEOUT),
            _ if self.is_http1() => Some(idle),
            _ => Some(IDLE_TIMEOUT),
        }
    }
}

/// Chooses one of the numbers.
type Counter = fn(&mut Doing) -> &mut usize;

/// One more of something, for as long as it is held.
pub struct Held {
    state: Arc<ConnectionState>,
    counter: Counter,
}

impl Held {
    fn new(state: &Arc<ConnectionState>, counter: Counter) -> Self {
        state.change(|doing| {
            *counter(doing) += 1;
            doing.since = Instant::now();
        });
        Self { state: Arc::clone(state), counter }
    }

    /// Notes that the caller has been handed something, or has taken all and waits for more, and of what kind the answer is.
    pub fn moved(&self, is_handed: bool, patience: Duration) {
        let now = Instant::now();
        stalling::note(is_handed.then_some((now.into(), patience)));
        self.state.change(|doing| {
            doing.is_handed = is_handed && doing.is_http1();
            (doing.since, doing.moved) = (now, now);
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.change(|doing| {
            *(self.counter)(doing) -= 1;
            doing.since = Instant::now();
        });
    }
}

/// A call that is being worked on.
pub struct Call(Held);

impl Call {
    /// Notes that the call is answered, and its answer is being sent for as long as this is held: for how long nothing may be
    /// taken of it comes along.
    pub fn answered(self, is_without_end: bool) -> (Held, Duration) {
        let (counter, patience): (Counter, _) = if is_without_end {
            (|doing| &mut doing.streams, STREAM_STALL_TIMEOUT)
        } else {
            (|doing| &mut doing.answers, STALL_TIMEOUT)
        };
        let held = Held::new(&self.0.state, counter);
        held.moved(true, patience);
        (held, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{AnswerLimits, Answers};

    const IDLE: Duration = Duration::from_secs(75);

    fn state() -> Arc<ConnectionState> {
        let connection = Connection::new(Answers::new(AnswerLimits::DEFAULT), None, None);
        Arc::new(ConnectionState::new(connection, IDLE, None))
    }

    fn patience(state: &ConnectionState) -> Option<Duration> {
        state.change(|doing| doing.patience(IDLE))
    }

    #[test]
    fn a_head_that_has_begun_has_less_time_than_a_connection_between_two_calls() {
        let state = state();
        assert_eq!(patience(&state), Some(HEAD_TIMEOUT), "the first call must come soon");
        let call = ConnectionState::begin(&state, Version::HTTP_11);
        assert_eq!(patience(&state), None, "a call has a limit of its own");
        state.read();
        drop(call);
        assert_eq!(patience(&state), Some(IDLE), "what came during the call was its body");
        state.read();
        assert_eq!(patience(&state), Some(HEAD_TIMEOUT));
    }

    #[test]
    fn an_answer_has_a_clock_over_http1_and_its_task_has_it_over_http2() {
        for (version, expected) in [(Version::HTTP_11, Some(STALL_TIMEOUT)), (Version::HTTP_2, None)] {
            let state = state();
            let answer = ConnectionState::begin(&state, version).answered(false);
            assert_eq!(patience(&state), expected);
            drop(answer);
            assert_ne!(patience(&state), None);
        }
    }

    #[tokio::test]
    async fn answers_that_are_ended_keep_no_connection_from_leaving() {
        let state = state();
        let begin = || ConnectionState::begin(&state, Version::HTTP_2).answered(false);
        let (_unread, ended) = (begin(), begin());
        state.change(|doing| doing.moved -= LAST_STALL_TIMEOUT);
        drop(ended);
        tokio::time::timeout(LAST_STALL_TIMEOUT / 2, state.answered()).await.unwrap();
    }
}
