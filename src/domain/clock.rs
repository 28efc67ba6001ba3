//! Time and fresh ids, injected so that tests are deterministic.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, TimeDelta, Utc};
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
    /// A UUIDv7 for something made at `at`, by which a source without a clock of its own goes: ids made later sort
    /// later.
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

/// An instant as both JSON and the command line write it: RFC 3339 in UTC with microseconds and `Z`.
pub fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Returns true for an instant in the years 1 to 9999, which every client and store can write.
pub fn is_writable(at: &Timestamp) -> bool {
    (1..=9_999).contains(&at.year())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_always_have_six_digits_and_z() {
        let written = |micros| rfc3339(Timestamp::from_timestamp_micros(micros).unwrap());
        assert_eq!(written(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(1_768_465_357_557_630), "2026-01-15T08:22:37.557630Z");
    }
}
