//! `redflag audit`.

mod keys;
mod verify;

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use self::{
    keys::{Keygen, PrintPublicKey},
    verify::Verify,
};
use super::{Database, output};
use crate::{
    domain::{Head, HeadSignature, OrganizationId},
    error::Error,
    operator::Operator,
};

/// Prove that the history is complete and unchanged, or take it elsewhere. Works on the database directly, also while a
/// server runs, and changes nothing in it. `docs/audit.md` says what is proven.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Verify that no event is changed, missing or at another place, and that every alert is what its history says
    Verify(Verify),
    /// Print where the feed ends; kept elsewhere, it proves later that nothing before it was changed
    Head(PrintHead),
    /// Print the feed, an event a line, as it was hashed; `docs/verify_feed.py` verifies what it prints
    Export(Export),
    /// Make a private key that `redflag serve --audit-key-file` signs with, and print its public key
    Keygen(Keygen),
    /// Print the public key of a private one, for `redflag audit verify --public-key`
    PublicKey(PrintPublicKey),
}

/// The feed of one organization.
#[derive(Debug, Args)]
struct Feed {
    /// The organization, by id or name; may be left out while there is one
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    database: Database,
}

impl Feed {
    async fn open(&self) -> anyhow::Result<(Operator, OrganizationId)> {
        let operator = self.database.open_reading().await?;
        let organization = operator.find_organization(self.org.as_deref()).await?.id;
        Ok((operator, organization))
    }
}

#[derive(Debug, Args)]
pub struct PrintHead {
    #[command(flatten)]
    feed: Feed,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    feed: Feed,
    /// The position of the first event
    #[arg(long, default_value_t = 1, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: i64,
    /// Print the signatures of heads too, each on a line of its own after the last event that it covers
    #[arg(long)]
    signatures: bool,
    /// The format of the export
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

/// The format of an export.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
}

impl Audit {
    /// Runs the subcommand.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run().await,
            Self::Head(head) => head.run().await,
            Self::Export(export) => export.run().await,
            Self::Keygen(keygen) => keygen.run(),
            Self::PublicKey(print) => print.run(),
        }
    }
}

impl PrintHead {
    async fn run(self) -> anyhow::Result<()> {
        let (operator, organization) = self.feed.open().await?;
        let head = operator.head(organization).await?;
        if self.json {
            return output::print_json(&view(organization, head));
        }
        output::print(&line(head))
    }
}

fn line(Head { position, hash }: Head) -> String {
    format!("{position} {hash}")
}

fn view(organization: OrganizationId, Head { position, hash }: Head) -> Value {
    json!({ "organization_id": organization.to_string(), "position": position, "hash": hash.to_string() })
}

impl Export {
    /// Prints the events page by page, up to the end of the feed at the start of the export.
    async fn run(self) -> anyhow::Result<()> {
        let Format::Jsonl = self.format;
        let (operator, organization) = self.feed.open().await?;
        let head = operator.head(organization).await?;
        let mut out = BufWriter::new(io::stdout());
        let mut reader = operator.events(organization, self.from - 1, head.position);
        let mut position = self.from - 1;
        while let Some(events) = reader.next().await.map_err(Error::from)? {
            let signatures = self.signatures(&operator, organization, position, reader.position()).await?;
            let mut signatures = signatures.into_iter().peekable();
            for event in &events {
                write_line(&mut out, event.to_json())?;
                while let Some(signed) = signatures.next_if(|signed| signed.position <= event.position) {
                    write_line(&mut out, signed.to_json())?;
                }
            }
            position = reader.position();
        }
        out.flush()?;
        if position < head.position {
            bail!(
                "the events after position {position} are missing, although the feed ends at {}",
                head.position
            );
        }
        Ok(())
    }

    /// Reads the signatures of heads from after one position up to another; none without `--signatures`.
    async fn signatures(
        &self,
        operator: &Operator,
        organization: OrganizationId,
        after: i64,
        end: i64,
    ) -> anyhow::Result<Vec<HeadSignature>> {
        let mut found = Vec::new();
        if self.signatures {
            let mut reader = operator.head_signatures(organization, after, end);
            while let Some(signatures) = reader.next().await.map_err(Error::from)? {
                found.extend(signatures);
            }
        }
        Ok(found)
    }
}

fn write_line(out: &mut impl Write, json: Map<String, Value>) -> io::Result<()> {
    writeln!(out, "{}", output::escaped(&Value::Object(json).to_string()))
}
