//! The bounds of connections, as they are set.

use std::time::Duration;

/// The limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// How many at most.
    pub total: usize,
    /// How many of one address at most, of IPv6 one /64 network; 0 is no limit.
    pub per_address: usize,
    /// How long an HTTP/1.1 connection may be idle between two calls.
    pub idle: Duration,
    /// How long a connection may last before its client is told to open another; zero is no limit.
    pub max_age: Duration,
    /// How long calls in flight may take to finish after that.
    pub age_grace: Duration,
}

impl ConnectionLimits {
    /// Defaults that suit most deployments.
    pub const DEFAULT: Self = Self {
        total: 10_000,
        per_address: 1_000,
        // Load balancers keep idle connections for 60 s: they must not find one closed.
        idle: Duration::from_secs(75),
        max_age: Duration::from_mins(30),
        age_grace: Duration::from_secs(30),
    };
}
