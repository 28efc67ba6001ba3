//! `redflag audit verify`.

use anyhow::{anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{keys, line};
use crate::{
    cli::{Database, output},
    domain::{AuditPublicKey, Organization, OrganizationId},
    operator::{
        Operator,
        audit::{Signatures, Stretches, Unverified, Verified},
    },
};

/// The most ranges of positions that a line names.
const MAX_NAMED: usize = 10;

#[derive(Debug, Args)]
pub struct Verify {
    /// One organization, by id or name; otherwise all are verified
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    database: Database,
    /// The first position to verify; from 2 on, only the alerts that the events from there on are about are compared with
    /// their history. Needs `--org` where there are several organizations
    #[arg(long, default_value_t = 1, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: i64,
    /// The public key that events must be signed with, as a file or as a line of base64 (`redflag audit public-key` prints
    /// it); several where keys were rotated. Events that none of them has signed are named
    #[arg(long = "public-key", value_name = "FILE_OR_BASE64", value_parser = keys::read_public)]
    public_keys: Vec<AuditPublicKey>,
    /// Fail where an event is not signed; with `--from`, one from there on
    #[arg(long, requires = "public_keys")]
    require_signed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Verifies one organization after the other, also after one that is broken.
    pub async fn run(self) -> anyhow::Result<()> {
        let operator = self.database.open_reading().await?;
        let organizations = self.organizations(&operator).await?;
        let is_only = organizations.len() == 1;
        let mut results = Vec::new();
        for organization in organizations {
            let outcome = self.verify(&operator, organization.id).await;
            let result = OrganizationResult { organization, outcome, asked: &self };
            if !self.json && !is_only {
                output::print(&result.line())?;
            }
            result.warn_unproven();
            result.warn_unchecked();
            results.push(result);
        }
        if self.json {
            output::print_json(&results.iter().map(OrganizationResult::view).collect::<Vec<_>>())?;
        }
        match results.as_slice() {
            [only] if !self.json => output::print(&only.summary()?),
            all => refuse_unverified(all),
        }
    }

    async fn organizations(&self, operator: &Operator) -> anyhow::Result<Vec<Organization>> {
        if self.org.is_some() || self.from > 1 {
            return Ok(vec![operator.find_organization(self.org.as_deref()).await?]);
        }
        let all = operator.organizations().await?;
        if all.is_empty() {
            bail!("there is no organization yet");
        }
        Ok(all)
    }

    async fn verify(
        &self,
        operator: &Operator,
        organization: OrganizationId,
    ) -> Result<Verified, Unverified> {
        let bar = progress_bar();
        let verified = operator
            .verify_signed(organization, self.from, &self.public_keys, &mut |done, all| {
                bar.set_length(all.unsigned_abs());
                bar.set_position(done.unsigned_abs());
            })
            .await;
        bar.finish_and_clear();
        verified
    }
}

/// The verification of one organization.
struct OrganizationResult<'a> {
    organization: Organization,
    outcome: Result<Verified, Unverified>,
    asked: &'a Verify,
}

impl OrganizationResult<'_> {
    /// Returns the line for a sound feed, or the problem as an error.
    fn summary(&self) -> anyhow::Result<String> {
        match &self.outcome {
            Ok(Verified { signatures, .. })
                if self.asked.require_signed && signatures.unsigned.events > 0 =>
            {
                let unsigned = list(&signatures.unsigned);
                Err(anyhow!(
                    "not signed with the keys given: the events at {unsigned}{}",
                    foreign(signatures)
                ))
            }
            Ok(Verified { events, head, signatures, .. }) => {
                let signed =
                    if self.asked.public_keys.is_empty() { String::new() } else { signed_ranges(signatures) };
                Ok(format!("ok: {events} events, head {}{signed}", line(*head)))
            }
            Err(Unverified::Broken(broken)) => Err(anyhow!("{broken}")),
            Err(Unverified::Failed(error)) => Err(anyhow!("can't be verified: {error}")),
        }
    }

    /// Returns the summary or the problem in one line, after the organization's name.
    fn line(&self) -> String {
        let summary = self.summary().unwrap_or_else(|problem| problem.to_string());
        output::printable(&format!("{}: {summary}", self.organization.name.as_str()))
    }

    fn view(&self) -> Value {
        let verified = self.outcome.as_ref().ok();
        let head = verified
            .map(|Verified { head, .. }| json!({ "position": head.position, "hash": head.hash.to_string() }));
        let problem = self.summary().err().map(|problem| problem.to_string());
        json!({
            "organization_id": self.organization.id.to_string(),
            "name": self.organization.name.as_str(),
            "ok": problem.is_none(),
            "events": verified.map(|verified| verified.events),
            "head": head,
            "late_adoption": verified.and_then(|verified| verified.late_adoption),
            "without_history": verified.map(|verified| verified.without_history),
            "signatures": verified.map(|verified| self.view_signatures(&verified.signatures)),
            "problem": problem,
        })
    }

    /// Views the signatures; without a public key only their number.
    fn view_signatures(&self, signatures: &Signatures) -> Value {
        if self.asked.public_keys.is_empty() {
            return json!({ "found": signatures.found, "checked": false });
        }
        let other_keys: Vec<_> = signatures.other_keys.iter().map(ToString::to_string).collect();
        json!({
            "found": signatures.found,
            "checked": true,
            "signed": view_stretches(&signatures.signed),
            "unsigned": view_stretches(&signatures.unsigned),
            "by_other_keys": signatures.by_other_keys,
            "other_keys": other_keys,
        })
    }

    /// Warns of signatures that were not checked because no public key was given.
    fn warn_unchecked(&self) {
        let found = self.outcome.as_ref().map_or(0, |verified| verified.signatures.found);
        if found > 0 && self.asked.public_keys.is_empty() {
            let name = output::printable(self.organization.name.as_str());
            output::notice(&format!("{name}: {found} signatures were not checked, for want of --public-key"));
        }
    }

    /// Warns of alerts without a history, and of a history that may be younger than it says.
    fn warn_unproven(&self) {
        let Ok(Verified { late_adoption, without_history, .. }) = &self.outcome else { return };
        let name = output::printable(self.organization.name.as_str());
        if *without_history > 0 {
            output::notice(&format!(
                "{name}: {without_history} alerts are older than histories and have none yet, so nothing of them is \
                 verified: `redflag serve` and `redflag migrate` begin them"
            ));
        }
        if let Some(position) = late_adoption {
            output::notice(&format!(
                "{name}: the event at position {position} begins the history of an older alert after other events: \
                 nothing proves that the alert is that old"
            ));
        }
    }
}

/// Fails when an organization did not verify.
fn refuse_unverified(results: &[OrganizationResult<'_>]) -> anyhow::Result<()> {
    let unverified = results.iter().filter(|result| result.summary().is_err()).count();
    if unverified > 0 {
        bail!("{unverified} of {} organizations did not verify", results.len());
    }
    Ok(())
}

/// Makes a progress bar on standard error, hidden when that is no terminal.
fn progress_bar() -> ProgressBar {
    // The template is a valid constant; the default bar is only for the type.
    let style = ProgressStyle::with_template("verifying {wide_bar} {percent:>3}% {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Lists the signed and unsigned events, as the end of a line.
fn signed_ranges(signatures: &Signatures) -> String {
    let stretches = [("signed", &signatures.signed), ("unsigned", &signatures.unsigned)];
    let present = stretches.iter().filter(|(_, stretches)| stretches.events > 0);
    let listed = present.map(|(word, stretches)| format!("; {word} {}", list(stretches)));
    listed.chain([foreign(signatures)]).collect()
}

/// Counts the signatures by other keys, as the end of a line.
fn foreign(Signatures { by_other_keys, other_keys, .. }: &Signatures) -> String {
    if *by_other_keys == 0 {
        return String::new();
    }
    let ids: Vec<_> = other_keys.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    format!("; {by_other_keys} signatures by other keys ({})", ids.join(", "))
}

/// Lists ranges of positions: `1-4, 6, 9-12`.
fn list(Stretches { ranges, more, .. }: &Stretches) -> String {
    let range = |&(first, last): &(i64, i64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let named: Vec<_> = ranges.iter().take(MAX_NAMED).map(range).collect();
    let more = *more + i64::try_from(ranges.len().saturating_sub(MAX_NAMED)).unwrap_or_default();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

fn view_stretches(Stretches { ranges, more, events, .. }: &Stretches) -> Value {
    let ranges: Vec<_> = ranges.iter().map(|(first, last)| json!({ "from": first, "to": last })).collect();
    json!({ "events": events, "ranges": ranges, "more_ranges": more })
}
