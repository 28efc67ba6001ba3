//! The memory of answers that callers have yet to read.

use clap::Args;

/// How many bytes of answers may be built and not taken.
#[derive(Debug, Clone, Copy, Args)]
pub struct AnswerLimits {
    /// How many MiB of lists may be held for one key until its callers have read them; further lists wait a moment, and are
    /// then refused with 429, over gRPC `RESOURCE_EXHAUSTED`
    #[arg(id = "answer-memory-per-key", long = "answer-memory-per-key", env = "REDFLAG_ANSWER_MEMORY_PER_KEY", default_value_t = AnswerLimits::DEFAULT.per_key, value_name = "MIB", value_parser = clap::value_parser!(u32).range(i64::from(AnswerLimits::LEAST)..=65_536))]
    pub per_key: u32,
    /// How many MiB of lists may be held for all keys together; one organization gets as much of it as it leaves free
    #[arg(id = "answer-memory", long = "answer-memory", env = "REDFLAG_ANSWER_MEMORY", default_value_t = AnswerLimits::DEFAULT.total, value_name = "MIB", value_parser = clap::value_parser!(u32).range(i64::from(AnswerLimits::LEAST)..=65_536))]
    pub total: u32,
}

impl AnswerLimits {
    /// Defaults that suit most deployments.
    pub const DEFAULT: Self = Self { per_key: 64, total: 256 };
    /// The least that lets one list through, in MiB.
    pub const LEAST: u32 = 4;
}
