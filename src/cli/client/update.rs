//! `redflag update`.

use std::collections::HashSet;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::{ChangeFlags, Connection, Output, PreconditionFlags, exit::UsageError, parse};
use crate::{
    cli::output,
    client::{FieldMask, json, pb},
};

/// The alert, and its new values.
#[derive(Debug, Args)]
pub struct Update {
    /// The alert's id, ano_…
    anomaly_id: String,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    change: ChangeFlags,
    #[command(flatten)]
    precondition: PreconditionFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

/// The new values.
#[derive(Debug, Args)]
struct Fields {
    /// The alert's title, one line of at most 200 characters
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The description of what happened: 1 to 10,000 characters; - reads standard input
    #[arg(long, value_name = "TEXT|-")]
    description: Option<String>,
    /// The status to move to, by its key
    #[arg(long, value_name = "KEY")]
    status: Option<String>,
    /// The severity: low, medium, high or critical
    #[arg(long, value_parser = parse::severity)]
    severity: Option<i32>,
    /// The person to assign it to; empty for nobody
    #[arg(long, value_name = "PERSON")]
    assigned_to: Option<String>,
    /// A person it is escalated to; may be given several times
    #[arg(long, value_name = "PERSON")]
    escalated_to: Option<Vec<String>>,
    /// A balance that it is about; may be given several times
    #[arg(long = "balance", value_name = "ENTITY_ID")]
    affected_balances: Option<Vec<String>>,
    /// An identity that it is about; may be given several times
    #[arg(long = "identity", value_name = "ENTITY_ID")]
    affected_identities: Option<Vec<String>>,
    /// A transaction that it is about; may be given several times
    #[arg(long = "transaction", value_name = "ENTITY_ID")]
    affected_transactions: Option<Vec<String>>,
    /// Metadata to keep with the alert: a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse::object)]
    metadata: Option<Map<String, Value>>,
    /// The disposition: `TRUE_POSITIVE`, `FALSE_POSITIVE`, `BENIGN`, `DUPLICATE` or `INCONCLUSIVE`
    #[arg(long, value_parser = parse::disposition)]
    disposition: Option<i32>,
    /// The reason for the disposition
    #[arg(long, value_name = "TEXT")]
    disposition_reason: Option<String>,
    /// Empty this field; may be given several times
    #[arg(long, value_name = "FIELD")]
    clear: Vec<Clearable>,
}

/// A field that can be emptied.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Clearable {
    Title,
    Severity,
    AssignedTo,
    EscalatedTo,
    AffectedBalances,
    AffectedIdentities,
    AffectedTransactions,
    Metadata,
    Disposition,
    DispositionReason,
}

impl Update {
    /// Changes the alert, and prints its new state.
    pub async fn run(self) -> anyhow::Result<()> {
        let (client, is_json) = (self.connection.client()?, self.output.json);
        let alert = client.update_alert(self.request()?).await?.alert.unwrap_or_default();
        if is_json {
            return output::print_json(&json::alert(&alert));
        }
        output::print(&now(&alert))
    }

    fn request(self) -> anyhow::Result<pb::UpdateAlertRequest> {
        let paths = self.fields.paths();
        if paths.is_empty() && self.change.note.is_empty() {
            return Err(UsageError("nothing to change was given").into());
        }
        if paths.iter().collect::<HashSet<_>>().len() < paths.len() {
            return Err(UsageError("a field is given and cleared, or cleared twice").into());
        }
        Ok(pb::UpdateAlertRequest {
            alert: Some(self.fields.alert(self.anomaly_id)?),
            update_mask: (!paths.is_empty()).then_some(FieldMask { paths }),
            note: self.change.note,
            expected_version: self.precondition.expected_version.unwrap_or_default(),
            request_id: self.change.idempotency.request_id.unwrap_or_default(),
        })
    }
}

impl Fields {
    /// Lists the names of the fields that change.
    fn paths(&self) -> Vec<String> {
        let given = [
            ("title", self.title.is_some()),
            ("description", self.description.is_some()),
            ("status", self.status.is_some()),
            ("severity", self.severity.is_some()),
            ("assigned_to", self.assigned_to.is_some()),
            ("escalated_to", self.escalated_to.is_some()),
            ("affected_balances", self.affected_balances.is_some()),
            ("affected_identities", self.affected_identities.is_some()),
            ("affected_transactions", self.affected_transactions.is_some()),
            ("metadata", self.metadata.is_some()),
            ("disposition", self.disposition.is_some()),
            ("disposition_reason", self.disposition_reason.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name.to_owned());
        let cleared = self.clear.iter().filter_map(ValueEnum::to_possible_value);
        given.chain(cleared.map(|value| value.get_name().to_owned())).collect()
    }

    fn alert(self, anomaly_id: String) -> anyhow::Result<pb::Alert> {
        Ok(pb::Alert {
            anomaly_id,
            title: self.title.unwrap_or_default(),
            description: self.description.map(parse::text_or_input).transpose()?.unwrap_or_default(),
            status: self.status.unwrap_or_default(),
            severity: self.severity.unwrap_or_default(),
            assigned_to: self.assigned_to.unwrap_or_default(),
            escalated_to: self.escalated_to.unwrap_or_default(),
            affected_balances: self.affected_balances.unwrap_or_default(),
            affected_identities: self.affected_identities.unwrap_or_default(),
            affected_transactions: self.affected_transactions.unwrap_or_default(),
            metadata: self.metadata.as_ref().map(json::metadata),
            disposition: self.disposition.unwrap_or_default(),
            disposition_reason: self.disposition_reason.unwrap_or_default(),
            ..Default::default()
        })
    }
}

/// Writes an alert's state after a change, in a line.
pub fn now(alert: &pb::Alert) -> String {
    let (id, status) = (output::printable(&alert.anomaly_id), output::printable(&alert.status));
    format!("{id} is {status}, version {}", alert.version)
}
