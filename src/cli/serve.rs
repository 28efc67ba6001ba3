//! `redflag serve`.

use std::net::SocketAddr;

use anyhow::bail;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::output;
use crate::{app::App, config::Config, domain::ApiKey, operator::FirstKey};

/// Run the service: gRPC and REST on one port, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    config: Config,
    /// The flags that hold a secret on the command line.
    #[arg(skip)]
    pub exposed: Vec<&'static str>,
}

impl Serve {
    /// Serves until a signal stops it.
    pub async fn run(self) -> anyhow::Result<()> {
        // Signals are taken first: one that comes during the start must not be lost.
        let (stop, stop_at_once, stop_starting) = (stop_signals(1)?, stop_signals(2)?, stop_signals(1)?);
        // Raises the limit of open files as far as possible; a failure leaves the present limit.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let Self { config, exposed } = self;
        let app = tokio::select! {
            app = App::start(&config) => app?,
            () = stop_starting => return Ok(()),
        };
        let address = app.address();
        log_start(&config, address);
        if let Some(key) = &config.audit_key {
            key.log();
        }
        for flag in exposed {
            tracing::warn!(
                "{flag} holds a secret on the command line, which every user of this machine can read"
            );
        }
        // The key comes first: it is shown only once, also when standard output can't be written to.
        if let Some(first) = app.first_key() {
            output::notice(&welcome(first, &format!("http://{address}")));
        }
        if let Err(error) = output::print(&format!("redflag listening on http://{address} (gRPC + REST)")) {
            tracing::warn!(%error, %address, "can't write the address to standard output");
        }
        tokio::select! {
            () = app.run(stop) => Ok(()),
            () = stop_at_once => bail!("stopped by a second signal: calls in flight were cut off"),
        }
    }
}

/// Logs the version and the settings, without secrets.
fn log_start(config: &Config, address: SocketAddr) {
    // Only the scheme is logged: the rest of the URL may hold a password.
    let database = config.database.url().split(':').next().unwrap_or_default();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %address,
        database,
        database_connections = config.database_connections(),
        changes_per_commit = config.commits.size,
        waiting_changes = config.commits.waiting,
        request_timeout = ?config.request_timeout,
        "started"
    );
}

/// Writes the first steps, with the first key when it was generated.
fn welcome(first: &FirstKey, url: &str) -> String {
    let FirstKey { key: ApiKey { organization_id, .. }, generated } = first;
    let Some(secret) = generated else {
        return format!(
            "Made the organization default ({organization_id}) with the key given as REDFLAG_BOOTSTRAP_KEY."
        );
    };
    let secret = secret.reveal();
    format!(
        "\nThis database is new: made the organization default ({organization_id}) and its first API key, which may do\n\
         everything and is shown only now:\n\n    {secret}\n\nFlag a balance:\n\n    \
         curl {url}/alerts/flag/bln_1 -H 'Authorization: Bearer {secret}' \\\n        \
         -H 'Content-Type: application/json' -d '{{\"description\": \"My first alert\"}}'\n\n\
         Read {url}/docs for all calls.\n"
    )
}

/// Completes when SIGTERM or Ctrl-C has come `times` times.
fn stop_signals(times: usize) -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        for _ in 0..times {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    })
}
