//! Retries with exponential backoff and jitter.

use std::time::Duration;

use tonic::Code;

use super::Error;

/// The longest pause before the second attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause without advice from the server.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The rules of retries.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The longest time of a call with all its attempts.
    pub timeout: Duration,
    /// The most attempts.
    pub attempts: u32,
}

impl Retry {
    /// Returns the pause after attempt number `attempt`; `None` when a retry is of no use.
    pub fn pause(&self, attempt: u32, error: &Error) -> Option<Duration> {
        let is_passing = matches!(error.code(), Code::Unavailable | Code::ResourceExhausted);
        (is_passing && attempt < self.attempts).then(|| pause(attempt, error.retry_after(), chance()))
    }
}

/// Chooses a pause of 50 to 100 % of the backoff, which doubles with each attempt. With advice from the server, adds up to
/// half of the backoff to it.
fn pause(attempt: u32, advised: Option<Duration>, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
    let most = doubled.min(LONGEST_PAUSE);
    match advised {
        Some(advised) => advised.saturating_add(most.mul_f64(chance / 2.0)),
        None => most.mul_f64(0.5 + chance / 2.0),
    }
}

/// Draws a random number from 0 to 1.
fn chance() -> f64 {
    // Without a source of randomness there is no jitter, which is no failure.
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
    fn no_pause_is_shorter_than_the_server_advises() {
        assert_eq!([0.0, 1.0].map(|chance| millis(1, Some(1_000), chance)), [1_000, 1_100]);
    }
}
