//! `redflag status`.

use clap::{Args, Subcommand};

use super::{
    Connection, IdempotencyFlags, Output,
    colours::StatusColours,
    parse,
    screen::{Fit, Screen, StyledText},
};
use crate::{
    cli::output,
    client::{Client, FieldMask, json, pb},
};

/// List, make, change and delete the statuses of the key's organization.
#[derive(Debug, Subcommand)]
pub enum Status {
    /// List the built-in statuses and the organization's own
    List(List),
    /// Make a status
    Create(Create),
    /// Change the name or the colour of a status
    Update(Update),
    /// Delete a status that no alert uses
    Delete(Delete),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub struct Create {
    /// The status's name: 1 to 64 characters
    #[arg(long)]
    name: String,
    /// One of the allowed colours, such as #3B82F6
    #[arg(long)]
    colour: String,
    /// The key that alerts refer to: 1 to 64 of A-Z 0-9 _ [default: made from the name]
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,
    /// The class: open, `in_progress` or closed [default: `in_progress`]
    #[arg(long, value_parser = parse::status_class)]
    class: Option<i32>,
    #[command(flatten)]
    idempotency: IdempotencyFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("fields").args(["name", "colour"]).required(true).multiple(true))]
pub struct Update {
    /// The status, by its key
    key: String,
    /// The status's name: 1 to 64 characters
    #[arg(long)]
    name: Option<String>,
    /// One of the allowed colours, such as #3B82F6
    #[arg(long)]
    colour: Option<String>,
    #[command(flatten)]
    idempotency: IdempotencyFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub struct Delete {
    /// The status, by its key
    key: String,
    #[command(flatten)]
    idempotency: IdempotencyFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Status {
    /// Runs the subcommand.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Create(create) => create.run().await,
            Self::Update(update) => update.run().await,
            Self::Delete(delete) => delete.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let list = read(&self.connection.client()?).await?;
        if self.output.json {
            return output::print_json(&json::statuses(&list));
        }
        let colours = StatusColours::listed(&list);
        let row = |status: &pb::AlertStatus| {
            let class = json::status_class(status.class);
            let key = colours.styled(&status.key, status.class);
            [key, class.into(), StyledText::from(&status.colour), output::printable(&status.name).into()]
        };
        let rows = list.builtin.iter().chain(&list.alert_statuses).map(row).collect();
        Screen::of_output().table(["KEY", "CLASS", "COLOUR", "NAME"], rows, Fit::default())
    }
}

/// Reads all statuses, as one list.
async fn read(client: &Client) -> anyhow::Result<pb::ListAlertStatusesResponse> {
    let mut list = client.list_alert_statuses(pb::ListAlertStatusesRequest::default()).await?;
    while !list.next_page_token.is_empty() {
        let page_token = std::mem::take(&mut list.next_page_token);
        let request = pb::ListAlertStatusesRequest { page_token, ..Default::default() };
        let page = client.list_alert_statuses(request).await?;
        list.alert_statuses.extend(page.alert_statuses);
        list.next_page_token = page.next_page_token;
    }
    Ok(list)
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let request = pb::CreateAlertStatusRequest {
            name: self.name,
            colour: self.colour,
            key: self.key,
            class: self.class.unwrap_or_default(),
            request_id: self.idempotency.request_id.unwrap_or_default(),
        };
        let status = client.create_alert_status(request).await?.alert_status;
        print(&status.unwrap_or_default(), "made", &self.output)
    }
}

impl Update {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let given = [("name", self.name.is_some()), ("colour", self.colour.is_some())];
        let paths =
            given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| (*name).to_owned()).collect();
        let (name, colour) = (self.name.unwrap_or_default(), self.colour.unwrap_or_default());
        let request = pb::UpdateAlertStatusRequest {
            alert_status: Some(pb::AlertStatus { key: self.key, name, colour, ..Default::default() }),
            update_mask: Some(FieldMask { paths }),
            request_id: self.idempotency.request_id.unwrap_or_default(),
        };
        let status = client.update_alert_status(request).await?.alert_status;
        print(&status.unwrap_or_default(), "changed", &self.output)
    }
}

impl Delete {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let request = pb::DeleteAlertStatusRequest {
            key: self.key.clone(),
            request_id: self.idempotency.request_id.unwrap_or_default(),
        };
        client.delete_alert_status(request).await?;
        if self.output.json {
            return output::print_json(&json::deleted());
        }
        output::print(&format!("deleted the status {}", output::printable(&self.key)))
    }
}

fn print(status: &pb::AlertStatus, done: &str, format: &Output) -> anyhow::Result<()> {
    if format.json {
        return output::print_json(&json::status(status));
    }
    let line = format!("{done} the status {} ({})", status.key, json::status_class(status.class));
    output::print(&output::printable(&line))
}
