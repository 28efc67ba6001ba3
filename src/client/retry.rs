//! When a call is made again: waits that double, and differ, so that many clients don't come back at once.

use std::time::Duration;

use tonic::Code;

use super::Error;

/// The wait before the second attempt, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait that the client itself chooses.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How patiently calls are made.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How long a call may take with all its attempts.
    pub timeout: Duration,
    /// How many attempts there are in all.
    pub attempts: u32,
}

impl Retry {
    /// How long to wait after attempt number `attempt` has failed; `None` where another one is of no use.
    pub fn pause(&self, attempt: u32, error: &Error) -> Option<Duration> {
        let is_passing = matches!(error.code(), Code::Unavailable | Code::ResourceExhausted);
        (is_passing && attempt < self.attempts).then(|| pause(attempt, error.retry_after(), chance()))
    }
}

/// A wait of half to all of what has doubled with each attempt; beyond what the server advises, where it does.
fn pause(attempt: u32, advised: Option<Duration>, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
    let most = doubled.min(LONGEST_PAUSE);
    match advised {
        Some(advised) => advised.saturating_add(most.mul_f64(chance / 2.0)),
        None => most.mul_f64(0.5 + chance / 2.0),
    }
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    // Where the machine has no random bits, all wait alike, which is no failure.
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(attempt: u32, advised: Option<u64>, chance: f64) -> u128 {
        pause(attempt, advised.map(Duration::from_millis), chance).as_millis()
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!([1, 2, 3, 9, 40].map(|attempt| millis(attempt, None, 1.0)), [200, 400, 800, 5_000, 5_000]);
        assert_eq!([1, 2, 3].map(|attempt| millis(attempt, None, 0.0)), [100, 200, 400]);
    }

    #[test]
    fn nobody_comes_back_before_the_server_wants_it() {
        assert_eq!([0.0, 1.0].map(|chance| millis(1, Some(1_000), chance)), [1_000, 1_100]);
    }
}
