//! What was measured, round by round.

use std::collections::BTreeMap;

use crate::{
    load::{Latency, Load},
    machine::MOST_FOR_OTHERS,
    plan::{Call, Key, Subject},
};

/// One measure in one round.
#[derive(Debug, Clone)]
pub struct Sample {
    pub load: Load,
    /// Which part of the machine others used meanwhile.
    pub others: f64,
}

impl Sample {
    /// Whether others left the machine alone.
    pub fn is_clean(&self) -> bool {
        self.others < MOST_FOR_OTHERS
    }
}

/// All samples.
#[derive(Debug, Default)]
pub struct Results {
    samples: BTreeMap<Key, Vec<Sample>>,
}

/// One measure over all rounds that count.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Median of the calls a second.
    pub per_second: f64,
    pub slowest: f64,
    pub fastest: f64,
    /// Median of each percentile.
    pub latency: Option<Latency>,
    /// How many rounds count.
    pub rounds: usize,
    /// How many were dropped because others used the machine.
    pub dropped: usize,
    /// Whether others used the machine in every round, so that all count none the less.
    pub is_disturbed: bool,
}

impl Results {
    /// Adds a sample.
    pub fn add(&mut self, key: Key, sample: Sample) {
        self.samples.entry(key).or_default().push(sample);
    }

    /// How many rounds of a measure were left alone.
    pub fn clean_rounds(&self, key: Key) -> usize {
        self.samples.get(&key).map_or(0, |samples| samples.iter().filter(|sample| sample.is_clean()).count())
    }

    /// Everything that was measured, summed up.
    pub fn summaries(&self) -> impl Iterator<Item = (Key, Summary)> {
        self.samples.iter().filter_map(|(key, samples)| Some((*key, Summary::of(samples)?)))
    }

    /// One measure, summed up.
    pub fn summary(&self, subject: Subject, call: Call, in_flight: usize) -> Option<Summary> {
        self.samples.get(&Key { subject, call, in_flight }).and_then(|samples| Summary::of(samples))
    }

    /// The most calls a second that a subject has reached with many in flight.
    pub fn best(&self, subject: Subject, call: Call) -> Option<f64> {
        let many = |in_flight| self.summary(subject, call, in_flight).map(|summary| summary.per_second);
        [8, 32, 64].into_iter().filter_map(many).max_by(f64::total_cmp)
    }
}

impl Summary {
    fn of(samples: &[Sample]) -> Option<Self> {
        let clean: Vec<&Sample> = samples.iter().filter(|sample| sample.is_clean()).collect();
        let is_disturbed = clean.is_empty();
        let counting = if is_disturbed { samples.iter().collect() } else { clean };
        let rates: Vec<f64> = counting.iter().map(|sample| sample.load.per_second).collect();
        let latencies: Vec<Latency> = counting.iter().filter_map(|sample| sample.load.latency).collect();
        Some(Self {
            per_second: median(rates.clone())?,
            slowest: rates.iter().copied().min_by(f64::total_cmp)?,
            fastest: rates.iter().copied().max_by(f64::total_cmp)?,
            latency: median_latency(&latencies),
            rounds: counting.len(),
            dropped: samples.len() - counting.len(),
            is_disturbed,
        })
    }
}

fn median_latency(latencies: &[Latency]) -> Option<Latency> {
    let of = |part: fn(&Latency) -> f64| median(latencies.iter().map(part).collect());
    Some(Latency {
        p50: of(|latency| latency.p50)?,
        p90: of(|latency| latency.p90)?,
        p99: of(|latency| latency.p99)?,
        p999: of(|latency| latency.p999)?,
    })
}

/// The middle of some numbers; of an even count the mean of the two.
pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let upper = *numbers.get(numbers.len() / 2)?;
    let lower = *numbers.get((numbers.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}
