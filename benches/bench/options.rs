//! What the command line says.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Measures redflag beside what it must be compared with.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// One short round of everything, to see that it works: asserts no ratio and writes no document
    #[arg(long)]
    pub quick: bool,
    /// Only measures whose name holds this text, such as "gRPC echo"; writes no document
    #[arg(long, default_value = "", hide_default_value = true)]
    pub only: String,
    /// How many rounds that nobody else disturbed each measure needs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a measure takes in each round
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    seconds: Duration,
    /// How long to wait before each measure for others on the machine to be quiet
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What this program is instead: a measure of large databases, or one of the servers that it starts to be measured.
#[derive(Debug, Clone, Subcommand)]
pub enum Role {
    /// Measure what one organization notices of another
    Isolation,
    /// Measure databases that hold many alerts
    Scale(Scale),
    /// A server that answers without doing anything.
    #[command(hide = true)]
    Echo,
    /// A server of one transaction a request.
    #[command(hide = true)]
    Naive {
        /// Where it keeps alerts.
        database_url: String,
    },
}

/// How many alerts to measure with.
#[derive(Debug, Clone, Copy, Args)]
pub struct Scale {
    /// How many alerts each database holds
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(50_000..))]
    pub alerts: u64,
    /// Write docs/performance/scale.md
    #[arg(long)]
    pub write: bool,
}

impl Options {
    /// How many undisturbed rounds each measure needs.
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }

    /// How many rounds there are at most.
    pub fn most_rounds(&self) -> usize {
        if self.quick { 1 } else { 2 * self.rounds }
    }

    /// How long a measure takes.
    pub fn span(&self) -> Duration {
        if self.quick { Duration::from_millis(700) } else { self.seconds }
    }

    /// How long a server is loaded before the measure begins.
    pub fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.quick { 100 } else { 500 })
    }

    /// How long to wait for a quiet machine.
    pub fn patience(&self) -> Duration {
        if self.quick { Duration::ZERO } else { self.patience }
    }

    /// How many alerts every database holds before it is measured.
    pub fn seed(&self) -> usize {
        if self.quick { 2_000 } else { 20_000 }
    }

    /// Whether the outcome is complete enough for the documents.
    pub fn writes_documents(&self) -> bool {
        !self.quick && self.only.is_empty()
    }
}
