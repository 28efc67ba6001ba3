//! Supervises the tasks that run beside the calls: each has a name, is started again when it fails or panics, and is joined at
//! shutdown.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time::{Instant, sleep, timeout_at},
};

/// The pause after a first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A run that lasts this long is a success: the next pause is the first again.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// Tells a worker that it must end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Completes when the worker must end.
    pub async fn told(&mut self) {
        // Also when whoever could tell is gone.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Runs `work` until it is done or the worker must end; then `None`.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.told() => None,
            done = work => Some(done),
        }
    }
}

/// Workers that are told to stop together.
pub struct Workers {
    stop: watch::Sender<bool>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Workers {
    /// None yet.
    pub fn new() -> Self {
        Self { stop: watch::Sender::new(false), running: Vec::new() }
    }

    /// Starts a worker. It runs until it succeeds or is told to stop; after an error or a panic, which the log has with the
    /// worker's name, it is started again, each time after a longer pause.
    pub fn spawn<F>(&mut self, name: &'static str, work: impl Fn(Stop) -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = Stop(self.stop.subscribe());
        self.running.push((name, tokio::spawn(supervise(name, stop, work))));
    }

    /// Starts a worker that does its work `every` so often, for the first time after `first`.
    pub fn periodic<F>(
        &mut self,
        name: &'static str,
        first: Duration,
        every: Duration,
        work: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.spawn(name, move |mut stop| {
            let work = work.clone();
            async move {
                let repeated = async {
                    sleep(first).await;
                    loop {
                        work().await?;
                        sleep(every).await;
                    }
                };
                stop.or(repeated).await.unwrap_or(Ok(()))
            }
        });
    }

    /// Tells all to stop.
    pub fn tell(&self) {
        self.stop.send_replace(true);
    }

    /// Tells all to stop, and waits for them until `deadline`. The log names those that have not ended by then; they are cut off.
    pub async fn stop(self, deadline: Instant) {
        self.tell();
        for (name, mut running) in self.running {
            if timeout_at(deadline, &mut running).await.is_err() {
                tracing::warn!(worker = name, "a worker did not end in time and is cut off");
                running.abort();
            }
        }
    }
}

async fn supervise<F>(name: &'static str, mut stop: Stop, work: impl Fn(Stop) -> F)
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut failures = 0;
    loop {
        let began = Instant::now();
        match tokio::spawn(work(stop.clone())).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                let error = format!("{error:#}");
                tracing::warn!(worker = name, error, "a worker failed, it is started again");
            }
            Err(panicked) => report_panic(name, &panicked),
        }
        failures = if began.elapsed() >= HEALTHY_AFTER { 1 } else { failures + 1 };
        if stop.or(sleep(pause_after(failures))).await.is_none() {
            return;
        }
    }
}

/// The panic itself is in the log already, by the panic hook.
fn report_panic(name: &str, error: &JoinError) {
    tracing::error!(worker = name, is_panic = error.is_panic(), "a worker panicked, it is started again");
}

/// The pause before the next run, give or take a tenth, so that instances do not all try at once.
fn pause_after(failures: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE);
    let percent = 90 + u32::try_from(RandomState::new().hash_one(failures) % 21).unwrap_or_default();
    pause / 100 * percent
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    };

    use anyhow::bail;

    use super::*;

    fn counter() -> (Arc<AtomicU32>, Arc<AtomicU32>) {
        let runs = Arc::new(AtomicU32::new(0));
        (Arc::clone(&runs), runs)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_panics_or_fails_runs_again_until_it_succeeds() {
        let (runs, seen) = counter();
        let mut workers = Workers::new();
        workers.spawn("test", move |_| {
            let run = runs.fetch_add(1, SeqCst);
            async move {
                match run {
                    0 => panic!("on purpose"),
                    1 => bail!("on purpose"),
                    _ => Ok(()),
                }
            }
        });
        sleep(Duration::from_mins(5)).await;
        assert_eq!(seen.load(SeqCst), 3, "and not again after it has succeeded");
        workers.stop(soon()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn periodic_work_goes_on_after_a_panic() {
        let (runs, seen) = counter();
        let mut workers = Workers::new();
        workers.periodic("test", Duration::from_mins(1), Duration::from_mins(5), move || {
            let run = runs.fetch_add(1, SeqCst);
            async move {
                assert!(run != 1, "on purpose");
                Ok(())
            }
        });
        sleep(Duration::from_secs(59)).await;
        assert_eq!(seen.load(SeqCst), 0);
        sleep(Duration::from_mins(20)).await;
        assert!(seen.load(SeqCst) >= 4, "{seen:?}");
        workers.stop(soon()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn workers_are_joined_and_stubborn_ones_cut_off() {
        let mut workers = Workers::new();
        let (ended, has_ended) = counter();
        workers.spawn("obedient", move |mut stop| {
            let ended = Arc::clone(&ended);
            async move {
                stop.told().await;
                ended.fetch_add(1, SeqCst);
                Ok(())
            }
        });
        workers.spawn("stubborn", |_| std::future::pending());
        tokio::task::yield_now().await;
        let began = Instant::now();
        workers.stop(soon()).await;
        assert_eq!((has_ended.load(SeqCst), began.elapsed()), (1, Duration::from_secs(5)));
    }

    #[test]
    fn pauses_grow_up_to_a_minute() {
        for (failures, seconds) in [(1, 1), (2, 2), (4, 8), (7, 60), (100, 60)] {
            let pause = pause_after(failures).as_secs_f64();
            assert!((0.89..=1.11).contains(&(pause / f64::from(seconds))), "{failures}: {pause}");
        }
    }
}
