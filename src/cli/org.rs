//! `redflag org`.

use clap::{ArgAction, Args, Subcommand};
use serde_json::{Value, json};

use super::{Database, output};
use crate::domain::{Name, Organization, clock::rfc3339};

/// Make, change and list organizations, the tenants. Works on the database directly, also while a server runs.
#[derive(Debug, Subcommand)]
pub enum Org {
    /// Make an organization
    Create(Create),
    /// Change the rules of an organization; works at once, on every running instance
    Update(Update),
    /// List all organizations, oldest first
    List(List),
}

#[derive(Debug, Args)]
pub struct Create {
    /// The organization's name: 1 to 64 characters, unique
    #[arg(long, value_parser = |raw: &str| Name::parse(raw).map(Name::into_string))]
    name: String,
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Update {
    /// The organization, by id or name
    #[arg(value_name = "ORG")]
    org: String,
    /// Close alerts only with a disposition and a reason
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    require_disposition: bool,
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Org {
    /// Runs the subcommand.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Update(update) => update.run().await,
            Self::List(list) => list.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let made = self.database.open_or_make().await?.create_organization(&self.name).await?;
        if self.json {
            return output::print_json(&view(&made));
        }
        output::print(&format!("made the organization {} ({})", made.name, made.id))
    }
}

impl Update {
    async fn run(self) -> anyhow::Result<()> {
        let operator = self.database.open().await?;
        let organization = operator.find_organization(Some(&self.org)).await?.id;
        let updated = operator.require_disposition(organization, self.require_disposition).await?;
        if self.json {
            return output::print_json(&view(&updated));
        }
        let demand = if updated.requires_disposition { "demands" } else { "does not demand" };
        output::print(&format!(
            "the organization {} ({}) now {demand} a disposition and a reason to close an alert",
            updated.name, updated.id
        ))
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let all = self.database.open_reading().await?.organizations().await?;
        if self.json {
            return output::print_json(&all.iter().map(view).collect::<Vec<_>>());
        }
        let rows: Vec<_> = all.iter().map(row).collect();
        output::print_table(["ORGANIZATION_ID", "NAME", "REQUIRE_DISPOSITION", "CREATED_AT"], &rows)
    }
}

fn row(organization: &Organization) -> [String; 4] {
    [
        organization.id.to_string(),
        organization.name.to_string(),
        organization.requires_disposition.to_string(),
        rfc3339(organization.created_at),
    ]
}

fn view(organization: &Organization) -> Value {
    json!({
        "organization_id": organization.id.to_string(),
        "name": organization.name.as_str(),
        "require_disposition": organization.requires_disposition,
        "created_at": rfc3339(organization.created_at),
    })
}
