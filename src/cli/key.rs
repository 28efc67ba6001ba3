//! `redflag key`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Database, output};
use crate::config::parse::parse_span;
use crate::{
    domain::{ApiKey, Name, Person, Scope, clock::rfc3339},
    operator::NewKeyInput,
};

/// Make, list and revoke API keys. Works on the database directly, also while a server runs.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; its secret is printed once and never again
    Create(Create),
    /// List keys, oldest first, revoked and expired ones included
    List(List),
    /// Revoke a key: within 5 seconds no running instance accepts it
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Create {
    /// The organization, by id or name; may be left out while there is one
    #[arg(long)]
    org: Option<String>,
    /// The key's name: 1 to 64 characters
    #[arg(long, value_parser = |raw: &str| Name::parse(raw).map(Name::into_string))]
    name: String,
    /// The person responsible for the key; new alerts are assigned to them by default
    #[arg(long, value_parser = |raw: &str| Person::parse(raw).map(Person::into_string))]
    owner: String,
    /// A scope of the key: alerts:read, alerts:write, statuses:write, or * for everything; may be given several times
    #[arg(long = "scope", required = true, value_delimiter = ',', value_name = "SCOPE", value_parser = |raw: &str| Scope::parse(raw).map(|scope| scope.to_string()))]
    scopes: Vec<String>,
    /// How long the key works, such as 30d or 12h [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    database: Database,
    /// Print JSON; the secret is "key"
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only this organization's, by id or name [default: all]
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// The key's id, `key_…`
    key_id: String,
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Key {
    /// Runs the subcommand.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let operator = self.database.open().await?;
        let organization = operator.find_organization(self.org.as_deref()).await?;
        let input = NewKeyInput {
            organization_id: organization.id,
            name: self.name,
            owner: self.owner,
            scopes: self.scopes,
            expires_in: self.expires_in,
        };
        let (key, secret) = operator.create_key(input).await?;
        if self.json {
            let mut view = view(&key);
            view["key"] = secret.reveal().into();
            return output::print_json(&view);
        }
        output::notice(&format!(
            "made the key {} for {}; its secret is shown only now:",
            key.id, organization.name
        ));
        output::print(secret.reveal())
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let operator = self.database.open_reading().await?;
        let organization = match &self.org {
            Some(org) => Some(operator.find_organization(Some(org)).await?.id),
            None => None,
        };
        let keys = operator.keys(organization).await?;
        if self.json {
            return output::print_json(&keys.iter().map(view).collect::<Vec<_>>());
        }
        let rows: Vec<_> = keys.iter().map(row).collect();
        let headings =
            ["KEY_ID", "NAME", "OWNER", "PREFIX", "SCOPES", "EXPIRES_AT", "REVOKED_AT", "LAST_USED_AT"];
        output::print_table(headings, &rows)
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let key = self.database.open().await?.revoke_key(&self.key_id).await?;
        if self.json {
            return output::print_json(&view(&key));
        }
        output::print(&format!("revoked the key {} ({})", key.id, key.name))
    }
}

fn row(key: &ApiKey) -> [String; 8] {
    let optional = |at: Option<_>| at.map_or_else(|| "-".to_owned(), rfc3339);
    [
        key.id.to_string(),
        key.name.to_string(),
        key.owner.to_string(),
        key.prefix.clone(),
        key.scopes.names().join(","),
        optional(key.expires_at),
        optional(key.revoked_at),
        optional(key.last_used_at),
    ]
}

fn view(key: &ApiKey) -> Value {
    json!({
        "key_id": key.id.to_string(),
        "organization_id": key.organization_id.to_string(),
        "name": key.name.as_str(),
        "owner": key.owner.as_str(),
        "scopes": key.scopes.names(),
        "prefix": key.prefix,
        "created_at": rfc3339(key.created_at),
        "expires_at": key.expires_at.map(rfc3339),
        "revoked_at": key.revoked_at.map(rfc3339),
        "last_used_at": key.last_used_at.map(rfc3339),
    })
}
