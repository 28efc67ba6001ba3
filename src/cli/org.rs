//! `redflag org`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Database, output};
use crate::domain::{Name, Organization, clock::rfc3339};

/// Make and list organizations, the tenants. Works on the database directly, also while a server runs.
#[derive(Debug, Subcommand)]
pub enum Org {
    /// Make an organization
    Create(Create),
    /// List all organizations, oldest first
    List(List),
}

#[derive(Debug, Args)]
pub struct Create {
    /// What to call it: 1 to 64 characters, unique
    #[arg(long, value_parser = |raw: &str| Name::parse(raw).map(Name::into_string))]
    name: String,
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
    /// Does what was asked for.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
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

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let all = self.database.open().await?.organizations().await?;
        if self.json {
            return output::print_json(&all.iter().map(view).collect());
        }
        let rows: Vec<_> = all
            .iter()
            .map(|org| [org.id.to_string(), org.name.to_string(), rfc3339(org.created_at)])
            .collect();
        output::print_table(["ORGANIZATION_ID", "NAME", "CREATED_AT"], &rows)
    }
}

fn view(organization: &Organization) -> Value {
    json!({
        "organization_id": organization.id.to_string(),
        "name": organization.name.as_str(),
        "created_at": rfc3339(organization.created_at),
    })
}
