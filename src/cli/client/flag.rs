//! `redflag flag`.

use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::{Map, Value};

use super::{ChangeFlags, Connection, Output, parse};
use crate::{
    cli::output,
    client::{json, pb},
};

/// The entity to flag, and the alert's fields.
#[derive(Debug, Args)]
pub struct Flag {
    /// The entity: bln_…, bal_…, txn_… or idt_…
    entity_id: String,
    /// The alert's title, one line of at most 200 characters
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    title: String,
    /// The description of what happened: 1 to 10,000 characters; - reads standard input
    #[arg(long, value_name = "TEXT|-")]
    description: String,
    /// A further entity that the alert is about; may be given several times
    #[arg(long = "entity", value_name = "ENTITY_ID")]
    additional_entity_ids: Vec<String>,
    /// The status to start in [default: FLAGGED]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KEY")]
    status: String,
    /// The severity: low, medium, high or critical
    #[arg(long, value_parser = parse::severity)]
    severity: Option<i32>,
    /// The person to assign it to; empty for nobody [default: the owner of the key]
    #[arg(long, value_name = "PERSON")]
    assigned_to: Option<String>,
    /// A person to escalate it to at once; may be given several times
    #[arg(long, value_name = "PERSON")]
    escalated_to: Vec<String>,
    /// Metadata to keep with the alert: a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse::object)]
    metadata: Option<Map<String, Value>>,
    /// The deduplication key of repeats: while an alert with that key is not closed, further flags fold into it
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    dedup_key: Option<String>,
    #[command(flatten)]
    change: ChangeFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Flag {
    /// Flags the entity, and prints the alert.
    pub async fn run(self) -> anyhow::Result<()> {
        let (client, is_json) = (self.connection.client()?, self.output.json);
        let flagged = client.flag_entity(self.request()?).await?;
        if is_json {
            return output::print_json(&json::flagged(&flagged));
        }
        output::print(&summary(&flagged))
    }

    fn request(self) -> anyhow::Result<pb::FlagEntityRequest> {
        Ok(pb::FlagEntityRequest {
            entity_id: self.entity_id,
            title: self.title,
            description: parse::text_or_input(self.description)?,
            additional_entity_ids: self.additional_entity_ids,
            status: self.status,
            severity: self.severity.unwrap_or_default(),
            assigned_to: self.assigned_to,
            escalated_to: self.escalated_to,
            metadata: self.metadata.as_ref().map(json::metadata),
            dedup_key: self.dedup_key.unwrap_or_default(),
            note: self.change.note,
            request_id: self.change.idempotency.request_id.unwrap_or_default(),
        })
    }
}

fn summary(flagged: &pb::FlagEntityResponse) -> String {
    let Some(alert) = &flagged.alert else { return String::new() };
    let (id, status) = (output::printable(&alert.anomaly_id), output::printable(&alert.status));
    if flagged.deduplicated {
        format!("folded into {id} ({status}), flagged {} times", alert.occurrence_count)
    } else {
        format!("made {id} ({status})")
    }
}
