//! The rate limit of log lines for calls without a valid key.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The period of the limit.
const PERIOD: Duration = Duration::from_secs(1);
/// The most lines of a period.
const MAX_LINES: u32 = 100;

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The line is written.
    Write,
    /// The line is written after one with the number of omitted lines.
    WriteAfter(u64),
    /// The line is omitted and counted.
    Omit,
}

/// Counts the lines of calls without a valid key.
#[derive(Debug)]
pub struct Limit(Mutex<Count>);

#[derive(Debug)]
struct Count {
    since: Option<Instant>,
    written: u32,
    omitted: u64,
}

impl Limit {
    /// Makes a limit with nothing counted.
    pub const fn new() -> Self {
        Self(Mutex::new(Count { since: None, written: 0, omitted: 0 }))
    }

    /// Counts one more line, at `now`.
    pub fn admit(&self, now: Instant) -> Verdict {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            let omitted = count.omitted;
            *count = Count { since: Some(now), written: 1, omitted: 0 };
            return if omitted == 0 { Verdict::Write } else { Verdict::WriteAfter(omitted) };
        }
        if count.written == MAX_LINES {
            count.omitted += 1;
            return Verdict::Omit;
        }
        count.written += 1;
        Verdict::Write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn omitted_lines_are_counted_and_reported() {
        let (limit, start) = (Limit::new(), Instant::now());
        for _ in 0..MAX_LINES {
            assert_eq!(limit.admit(start), Verdict::Write);
        }
        for _ in 0..7 {
            assert_eq!(limit.admit(start + PERIOD / 2), Verdict::Omit);
        }
        assert_eq!(limit.admit(start + PERIOD), Verdict::WriteAfter(7));
        assert_eq!(limit.admit(start + PERIOD * 2), Verdict::Write);
    }
}
