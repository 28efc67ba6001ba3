//! A closed loop: as many callers as calls in flight, each sending its next call once the last one was answered.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// Sends one call after another.
pub trait Caller: Send + 'static {
    /// Sends a call and checks the answer; a wrong one is an error, which ends the whole benchmark.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// For how long to send calls.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long before the measure begins.
    pub warm_up: Duration,
    /// How long the measure takes.
    pub span: Duration,
}

/// What a load has shown.
#[derive(Debug, Clone)]
pub struct Load {
    /// Calls answered in each second of the measure.
    pub per_second: f64,
    /// How long the answers took.
    pub latency: Option<Latency>,
    /// How many calls were acknowledged in all, also before the measure began and after it had ended.
    pub acknowledged: u64,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
}

/// What one caller noted.
struct Noted {
    /// How long each answer of the measure took. A list is cheaper to keep than a histogram for each caller.
    micros: Vec<u32>,
    acknowledged: u64,
}

/// Lets the callers call, and adds up what they noted.
///
/// # Errors
/// The first call that failed or had a wrong answer.
pub async fn closed_loop<C: Caller>(callers: Vec<C>, times: Times) -> anyhow::Result<Load> {
    let begin = Instant::now() + times.warm_up;
    let mut tasks = JoinSet::new();
    for caller in callers {
        tasks.spawn(call_until(caller, begin, begin + times.span));
    }
    let (mut histogram, mut acknowledged) = (histogram(), 0);
    while let Some(done) = tasks.join_next().await {
        let noted = done??;
        acknowledged += noted.acknowledged;
        for micros in noted.micros {
            histogram.saturating_record(micros.into());
        }
    }
    let per_second = count(histogram.len()) / times.span.as_secs_f64();
    Ok(Load { per_second, latency: Some(Latency::of(&histogram)), acknowledged })
}

/// Lets each caller call a certain number of times.
///
/// # Errors
/// The first call that failed or had a wrong answer.
pub async fn each<C: Caller>(callers: Vec<C>, times: usize) -> anyhow::Result<Vec<C>> {
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        tasks.spawn(async move {
            for _ in 0..times {
                caller.call().await?;
            }
            anyhow::Ok(caller)
        });
    }
    tasks.join_all().await.into_iter().collect()
}

async fn call_until<C: Caller>(mut caller: C, begin: Instant, end: Instant) -> anyhow::Result<Noted> {
    let mut noted = Noted { micros: Vec::with_capacity(4_096), acknowledged: 0 };
    let mut sent = Instant::now();
    while sent < end {
        caller.call().await?;
        let answered = Instant::now();
        noted.acknowledged += 1;
        if answered >= begin && answered < end {
            noted.micros.push(u32::try_from((answered - sent).as_micros()).unwrap_or(u32::MAX));
        }
        sent = answered;
    }
    Ok(noted)
}

/// From a microsecond to a minute, three digits.
#[expect(clippy::expect_used, reason = "the bounds are constant and valid")]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}

impl Latency {
    /// The percentiles of a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let millis = |quantile| count(histogram.value_at_quantile(quantile)) / 1_000.0;
        Self { p50: millis(0.5), p90: millis(0.9), p99: millis(0.99), p999: millis(0.999) }
    }
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub const fn count(count: u64) -> f64 {
    count as f64
}
