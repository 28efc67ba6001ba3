//! `redflag health`.

use anyhow::{anyhow, bail};
use clap::Args;

use super::connection::Server;
use crate::{
    cli::output,
    client::{Client, Options, ServingStatus},
};

/// Which server and service.
#[derive(Debug, Args)]
pub struct Health {
    /// One service, such as redflag.v1.AlertService [default: the whole server]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    service: String,
    #[command(flatten)]
    server: Server,
}

impl Health {
    /// Asks once, and tells the answer.
    pub async fn run(self) -> anyhow::Result<()> {
        // Once: whoever watches asks again by himself.
        let client = Client::new(&Options { attempts: 1, ..self.server.options() })?;
        // As text, so that every failure exits alike.
        let status = client.check_health(&self.service).await.map_err(|error| anyhow!("{error}"))?;
        match status {
            ServingStatus::Serving => output::print(status.as_str_name()),
            other => bail!("the server is {}", other.as_str_name()),
        }
    }
}
