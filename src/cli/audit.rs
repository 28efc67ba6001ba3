//! `redflag audit`.

use std::io::{self, BufWriter, Write};

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Database, output};
use crate::{
    domain::{Head, Organization, OrganizationId, PageSize},
    service::{
        Service,
        audit::{Unverified, Verified},
    },
};

/// Prove that the history is complete and unchanged, or take it elsewhere. Works on the database directly, also while a
/// server runs, and changes nothing in it. `docs/audit.md` tells what is proven.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Verify that no event is changed, missing or at another place, and that every alert is what its history says
    Verify(Verify),
    /// Print where the feed ends; kept elsewhere, it proves later that nothing before it was changed
    Head(PrintHead),
    /// Print the feed, an event a line, as it was hashed; `docs/verify_feed.py` verifies what it prints
    Export(Export),
}

/// Whose feed.
#[derive(Debug, Args)]
struct Feed {
    /// The organization, by id or name; may be left out while there is one
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    database: Database,
}

impl Feed {
    async fn open(&self) -> anyhow::Result<(Service, OrganizationId)> {
        let service = self.database.open_reading().await?;
        let organization = service.find_organization(self.org.as_deref()).await?.id;
        Ok((service, organization))
    }
}

#[derive(Debug, Args)]
pub struct Verify {
    /// One organization, by id or name; otherwise all are verified
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    database: Database,
    /// Where to begin; from 2 on, only the alerts that the events from there on are about are compared with their history.
    /// Needs `--org` where there are several organizations
    #[arg(long, default_value_t = 1, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
    /// Where to begin
    #[arg(long, default_value_t = 1, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: i64,
    /// How to write events
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
}

impl Audit {
    /// Does what was asked for.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run().await,
            Self::Head(head) => head.run().await,
            Self::Export(export) => export.run().await,
        }
    }
}

impl Verify {
    /// Verifies one organization after the other, also after one that is broken.
    async fn run(self) -> anyhow::Result<()> {
        let service = self.database.open_reading().await?;
        let organizations = self.organizations(&service).await?;
        let is_only = organizations.len() == 1;
        let mut results = Vec::new();
        for organization in organizations {
            let outcome = self.verify(&service, organization.id).await;
            let result = OrganizationResult { organization, outcome };
            if !self.json && !is_only {
                output::print(&result.line())?;
            }
            result.note_what_is_not_proved();
            results.push(result);
        }
        if self.json {
            output::print_json(&results.iter().map(OrganizationResult::view).collect::<Vec<_>>())?;
        }
        match results.as_slice() {
            [only] if !self.json => output::print(&only.told()?),
            all => refuse_unverified(all),
        }
    }

    async fn organizations(&self, service: &Service) -> anyhow::Result<Vec<Organization>> {
        if self.org.is_some() || self.from > 1 {
            return Ok(vec![service.find_organization(self.org.as_deref()).await?]);
        }
        let all = service.organizations().await?;
        if all.is_empty() {
            bail!("there is no organization yet");
        }
        Ok(all)
    }

    async fn verify(&self, service: &Service, organization: OrganizationId) -> Result<Verified, Unverified> {
        let bar = progress_bar();
        let verified = service
            .verify(organization, self.from, &mut |done, all| {
                bar.set_length(all.unsigned_abs());
                bar.set_position(done.unsigned_abs());
            })
            .await;
        bar.finish_and_clear();
        verified
    }
}

/// The verification of one organization.
struct OrganizationResult {
    organization: Organization,
    outcome: Result<Verified, Unverified>,
}

impl OrganizationResult {
    /// Returns the line for a sound feed, or the problem as an error.
    fn told(&self) -> anyhow::Result<String> {
        match &self.outcome {
            Ok(verified) => Ok(format!("ok: {} events, head {}", verified.events, line(verified.head))),
            Err(Unverified::Broken(broken)) => Err(anyhow!("{broken}")),
            Err(Unverified::Failed(error)) => Err(anyhow!("can't be verified: {error}")),
        }
    }

    /// The same in one line that begins with the organization.
    fn line(&self) -> String {
        let told = self.told().unwrap_or_else(|problem| problem.to_string());
        output::printable(&format!("{}: {told}", self.organization.name.as_str()))
    }

    fn view(&self) -> Value {
        let verified = self.outcome.as_ref().ok();
        let head = verified
            .map(|Verified { head, .. }| json!({ "position": head.position, "hash": head.hash.to_string() }));
        json!({
            "organization_id": self.organization.id.to_string(),
            "name": self.organization.name.as_str(),
            "ok": verified.is_some(),
            "events": verified.map(|verified| verified.events),
            "head": head,
            "late_adoption": verified.and_then(|verified| verified.late_adoption),
            "without_history": verified.map(|verified| verified.without_history),
            "problem": self.told().err().map(|problem| problem.to_string()),
        })
    }

    /// Tells of alerts whose history can't be proven to be as old as it says, or is yet to be begun.
    fn note_what_is_not_proved(&self) {
        let Ok(Verified { late_adoption, without_history, .. }) = &self.outcome else { return };
        let name = output::printable(self.organization.name.as_str());
        if *without_history > 0 {
            output::note(&format!(
                "{name}: {without_history} alerts are older than histories and have none yet, so nothing of them is \
                 verified: `redflag serve` and `redflag migrate` begin them"
            ));
        }
        if let Some(position) = late_adoption {
            output::note(&format!(
                "{name}: the event at position {position} begins the history of an older alert after other events: \
                 nothing proves that the alert is that old"
            ));
        }
    }
}

/// Fails where an organization was not found sound.
fn refuse_unverified(results: &[OrganizationResult]) -> anyhow::Result<()> {
    let unverified = results.iter().filter(|result| result.outcome.is_err()).count();
    if unverified > 0 {
        bail!("{unverified} of {} organizations did not verify", results.len());
    }
    Ok(())
}

/// A bar on standard error; none where that is no terminal.
fn progress_bar() -> ProgressBar {
    // The template is a constant that is known to be one; the plain bar stands in for it.
    let style = ProgressStyle::with_template("verifying {wide_bar} {percent:>3}% {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl PrintHead {
    async fn run(self) -> anyhow::Result<()> {
        let (service, organization) = self.feed.open().await?;
        let head = service.head_of(organization).await?;
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
    /// Prints a page of events at a time, up to where the feed ended when it began.
    async fn run(self) -> anyhow::Result<()> {
        let Format::Jsonl = self.format;
        let (service, organization) = self.feed.open().await?;
        let head = service.head_of(organization).await?;
        let mut out = BufWriter::new(io::stdout());
        let mut position = self.from - 1;
        while position < head.position {
            let page = service.events_of(organization, position, PageSize::MAX).await?;
            let Some(last) = page.items.last() else { break };
            position = last.position;
            for event in page.items.iter().take_while(|event| event.position <= head.position) {
                writeln!(out, "{}", output::escaped(&Value::Object(event.to_json()).to_string()))?;
            }
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
}
