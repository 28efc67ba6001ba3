//! Measures redflag beside what it must be compared with: `make bench` (docs/performance.md).

mod callers;
mod database;
mod echo;
mod goals;
mod idle;
mod ids;
mod isolation;
mod load;
mod machine;
mod naive;
mod options;
mod pgbench;
mod plan;
mod plot;
mod process;
mod report;
mod rest;
mod results;
mod rounds;
mod scale;
mod seed;
mod stub;
mod subjects;
mod table;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use options::{Options, Role};

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    rlimit::increase_nofile_limit(u64::MAX).context("raising the limit of open files")?;
    let runtime = runtime(&options)?;
    runtime.block_on(async {
        match &options.role {
            Some(Role::Echo) => stub::serve(echo::Echo).await,
            Some(Role::Naive { database_url }) => stub::serve(naive::Naive::open(database_url).await?).await,
            Some(Role::Isolation) => until_told(isolation::run(&options)).await,
            Some(Role::Scale(scale)) => until_told(scale::run(&options, *scale)).await,
            None => until_told(rounds::run(options)).await,
        }
    })
}

/// A server gets both processors, as redflag does. Who calls gets one: with more, its threads would take turns with the
/// server's on both, and most of what is measured would be that.
fn runtime(options: &Options) -> std::io::Result<Runtime> {
    let mut builder = match options.role {
        Some(Role::Echo | Role::Naive { .. }) => Builder::new_multi_thread(),
        Some(Role::Scale(_) | Role::Isolation) | None => Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// Measures until done or told to stop; whatever was started ends with the future that holds it.
async fn until_told(measuring: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        done = measuring => done,
        _ = terminate.recv() => bail!("told to stop"),
        _ = interrupt.recv() => bail!("told to stop"),
    }
}
