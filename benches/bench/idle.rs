//! What redflag costs while nobody calls: memory, memory for each connection, and the time to start.

use std::{sync::Arc, time::Duration};

use crate::{
    callers::{Client, Get},
    ids::Random,
    load::Caller as _,
    options::Options,
    process::Server,
    results::median,
    seed::SEED,
    subjects::Ground,
};

/// How many connections stay open at once.
const CONNECTIONS: u32 = 500;
/// How many calls one more connection makes before these are opened, to fill the server's caches.
const WARMING_CALLS: u32 = 5_000;
/// The file that is started on.
const FILE: &str = "redflag_idle";

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Of the server after its start, in MiB.
    pub memory_mib: f64,
    /// Of each idle connection, in KiB.
    pub connection_kib: f64,
    /// The median time until it listens on an existing file, in milliseconds.
    pub start_ms: f64,
    /// The shortest such time.
    pub best_start_ms: f64,
}

/// Measures it, each time on a server that was started afresh.
pub async fn measure(ground: &Ground, options: &Options) -> anyhow::Result<Idle> {
    ground.files.copy(SEED, FILE).await?;
    let (times, memory_times) = if options.quick { (3, 1) } else { (15, 5) };
    let mut starts = Vec::new();
    for _ in 0..times {
        let server = Server::redflag(&ground.files.url(FILE))?;
        starts.push(1_000.0 * server.started_in.as_secs_f64());
    }
    let (mut memories, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..memory_times {
        let (memory, connection) = memory(ground).await?;
        memories.push(memory);
        connections.push(connection);
    }
    let middle = |numbers| median(numbers).unwrap_or(f64::NAN);
    Ok(Idle {
        memory_mib: middle(memories),
        connection_kib: middle(connections),
        best_start_ms: starts.iter().copied().fold(f64::INFINITY, f64::min),
        start_ms: middle(starts),
    })
}

/// The memory after a start in MiB, and of each connection in KiB: its caller has made one call and stays. What calls
/// leave in the server's caches, whoever makes them, is there before the connections are.
async fn memory(ground: &Ground) -> anyhow::Result<(f64, f64)> {
    let server = Server::redflag(&ground.files.url(FILE))?;
    settle().await;
    let started = server.resident_kib()?;
    let mut random = Random::new()?;
    let mut caller = async || {
        let client = Client::connect(&server.url).await?;
        anyhow::Ok(Get { client, random: random.fork(), alerts: Arc::clone(&ground.seed.sqlite) })
    };
    let mut first = caller().await?;
    for _ in 0..WARMING_CALLS {
        first.call().await?;
    }
    settle().await;
    let warm = server.resident_kib()?;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut next = caller().await?;
        next.call().await?;
        open.push(next);
    }
    settle().await;
    let crowded = server.resident_kib()?;
    Ok((started / 1_024.0, (crowded - warm) / f64::from(CONNECTIONS)))
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}
