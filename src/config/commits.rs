//! How changes share commits.

use clap::{Args, builder::RangedU64ValueParser};

/// How changes share commits.
#[derive(Debug, Clone, Copy, Args)]
pub struct GroupCommit {
    /// How many changes share one commit at most; 1 gives each its own
    #[arg(id = "changes-per-commit", long = "changes-per-commit", env = "REDFLAG_CHANGES_PER_COMMIT", default_value_t = GroupCommit::DEFAULT.size, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub size: usize,
    /// How many changes may wait for the next commit, and at most 64 MiB of them; beyond, those of the organization with most
    /// of them are refused with 429, over gRPC `RESOURCE_EXHAUSTED`
    #[arg(id = "waiting-changes", long = "waiting-changes", env = "REDFLAG_WAITING_CHANGES", default_value_t = GroupCommit::DEFAULT.waiting, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub waiting: usize,
    /// How many commits PostgreSQL works on at once, each for other organizations, and fewer than there are connections; one more
    /// is kept for organizations with few changes. SQLite has one writer
    #[arg(id = "commits-in-flight", long = "commits-in-flight", env = "REDFLAG_COMMITS_IN_FLIGHT", default_value_t = GroupCommit::DEFAULT.in_flight, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub in_flight: usize,
}

impl GroupCommit {
    /// The values measured to be best on two cores (`docs/performance.md`).
    pub const DEFAULT: Self = Self { size: 512, waiting: 4_096, in_flight: 1 };
}
