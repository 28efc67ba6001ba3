//! The limits of connections.

use std::time::Duration;

use clap::{Args, builder::RangedU64ValueParser};

use super::parse::parse_span;

/// The limits of connections.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConnectionLimits {
    /// How many connections at most; when all are taken, idle ones are closed for new ones: those that
    /// never showed a valid key, then those of the organization that has most
    #[arg(id = "connections", long = "connections", env = "REDFLAG_CONNECTIONS", default_value_t = 10_000, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub total: usize,
    /// How many connections from one address at most, of IPv6 from one /64 network; 0 is no limit, for behind a proxy
    #[arg(
        id = "connections-per-address",
        long = "connections-per-address",
        env = "REDFLAG_CONNECTIONS_PER_ADDRESS",
        default_value_t = 1_000,
        value_name = "N"
    )]
    pub per_address: usize,
    /// How long an HTTP/1.1 connection may be idle between two calls; longer than a load balancer keeps it
    #[arg(id = "idle-timeout", long = "idle-timeout", env = "REDFLAG_IDLE_TIMEOUT", default_value = "75s", value_name = "TIME", value_parser = parse_span)]
    pub idle: Duration,
    /// How long a connection may last, give or take a tenth, before its client is asked to open another, which moves it on to
    /// new instances; 0s is no limit
    #[arg(id = "max-connection-age", long = "max-connection-age", env = "REDFLAG_MAX_CONNECTION_AGE", default_value = "30m", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub max_age: Duration,
    /// How long calls in flight may take to finish on a connection that is that old
    #[arg(id = "max-connection-age-grace", long = "max-connection-age-grace", env = "REDFLAG_MAX_CONNECTION_AGE_GRACE", default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub age_grace: Duration,
}
