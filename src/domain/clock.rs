//! Time and fresh ids, injected so that tests are deterministic.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::Uuid;

/// An instant in UTC with the microsecond precision that both stores keep.
pub type Timestamp = DateTime<Utc>;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, to the microsecond.
    fn now(&self) -> Timestamp;
}

/// Makes ids that nobody has used.
pub trait IdSource: Send + Sync + 'static {
    /// A UUIDv7 for something made at `at`: ids made later sort later.
    fn next(&self, at: Timestamp) -> Uuid;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(6)
    }
}

/// The machine's source of ids: random bits from the operating system, and a counter within one millisecond.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes ids")]
    fn next(&self, _at: Timestamp) -> Uuid {
        Uuid::now_v7()
    }
}

/// The last microsecond that is not after `at`.
pub fn to_micros(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(6)
}

/// The first microsecond that is not before `at`.
pub fn to_micros_up(at: Timestamp) -> Timestamp {
    let down = to_micros(at);
    if down == at { at } else { down + TimeDelta::microseconds(1) }
}
