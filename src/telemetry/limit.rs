//! The rate limit of log lines for calls without a valid key.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The period of the limit.
const PERIOD: Duration = Duration::from_secs(1);
/// The most lines of a period.
const LINES: u32 = 100;

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The line is written.
    Write,
    /// The line is written after one with the number of omitted lines.
    WriteAfter(u64),
    /// The line is omitted and counted.
    LeaveOut,
}

/// Counts the lines of calls without a valid key.
#[derive(Debug)]
pub struct Limit(Mutex<Count>);

#[derive(Debug)]
struct Count {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Limit {
    /// Makes a limit with nothing counted.
    pub const fn new() -> Self {
        Self(Mutex::new(Count { since: None, written: 0, left_out: 0 }))
    }

    /// Counts one more line, at `now`.
    pub fn admit(&self, now: Instant) -> Verdict {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            let left_out = count.left_out;
            *count = Count { since: Some(now), written: 1, left_out: 0 };
            return if left_out == 0 { Verdict::Write } else { Verdict::WriteAfter(left_out) };
        }
        if count.written == LINES {
            count.left_out += 1;
            return Verdict::LeaveOut;
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
        for _ in 0..LINES {
            assert_eq!(limit.admit(start), Verdict::Write);
        }
        for _ in 0..7 {
            assert_eq!(limit.admit(start + PERIOD / 2), Verdict::LeaveOut);
        }
        assert_eq!(limit.admit(start + PERIOD), Verdict::WriteAfter(7));
        assert_eq!(limit.admit(start + PERIOD * 2), Verdict::Write);
    }
}
