//! `redflag health`.

use anyhow::{anyhow, bail};
use clap::Args;

use super::connection::Server;
use crate::{
    cli::output,
    client::{Client, Options, ServingStatus},
};

/// The server, and one of its services.
#[derive(Debug, Args)]
pub struct Health {
    /// One service, such as redflag.v1.AlertService [default: the whole server]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    service: String,
    #[command(flatten)]
    server: Server,
}

impl Health {
    /// Asks once, and prints the answer.
    pub async fn run(self) -> anyhow::Result<()> {
        // No retries: a probe repeats by itself.
        let client = Client::new(&Options { attempts: 1, ..self.server.options() })?;
        // The error's type is dropped, so that every failure exits with 1.
        let status = client.check_health(&self.service).await.map_err(|error| anyhow!("{error}"))?;
        match status {
            ServingStatus::Serving => output::print(status.as_str_name()),
            other => bail!("the server is {}", other.as_str_name()),
        }
    }
}
