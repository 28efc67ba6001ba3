//! A clock that stands until it is moved.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta};
use redflag::domain::{Clock, Timestamp};

/// A clock that tells what it was last set to; share it as `Arc<TestClock>`.
#[derive(Debug)]
pub struct TestClock {
    micros: AtomicI64,
}

impl Default for TestClock {
    /// Stands at 2026-01-02 03:04:05.678901 UTC: every digit counts.
    fn default() -> Self {
        Self { micros: AtomicI64::new(instant("2026-01-02T03:04:05.678901Z").timestamp_micros()) }
    }
}

impl TestClock {
    /// Moves to `at`, forwards or backwards.
    pub fn set(&self, at: Timestamp) {
        self.micros.store(at.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves by `step` and tells the time there.
    pub fn step(&self, step: TimeDelta) -> Timestamp {
        let micros = step.num_microseconds().expect("tests take small steps");
        self.micros.fetch_add(micros, Ordering::SeqCst);
        self.now()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        DateTime::from_timestamp_micros(self.micros.load(Ordering::SeqCst))
            .expect("tests set times that exist")
    }
}

/// The instant that an RFC 3339 text stands for.
pub fn instant(text: &str) -> Timestamp {
    text.parse().expect("tests write times that exist")
}
