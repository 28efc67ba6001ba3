//! `redflag escalate`.

use clap::Args;

use super::{ChangeFlags, Connection, Output, PreconditionFlags, update::now};
use crate::{
    cli::output,
    client::{json, pb},
};

/// Escalate an alert to people, and assign it to the first of them.
#[derive(Debug, Args)]
pub struct Escalate {
    /// The alert's id, ano_…
    anomaly_id: String,
    /// A person to escalate it to; may be given several times
    #[arg(long, required = true, value_name = "PERSON")]
    to: Vec<String>,
    #[command(flatten)]
    change: ChangeFlags,
    #[command(flatten)]
    precondition: PreconditionFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Escalate {
    /// Escalates, and prints the alert's new state.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let request = pb::EscalateAlertRequest {
            anomaly_id: self.anomaly_id,
            to: self.to,
            note: self.change.note,
            expected_version: self.precondition.expected_version.unwrap_or_default(),
            request_id: self.change.idempotency.request_id.unwrap_or_default(),
        };
        let alert = client.escalate_alert(request).await?.alert.unwrap_or_default();
        if self.output.json {
            return output::print_json(&json::alert(&alert));
        }
        output::print(&now(&alert))
    }
}
