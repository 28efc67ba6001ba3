//! `redflag get`.

use clap::Args;

use super::{
    Connection, Output,
    colours::StatusColours,
    screen::{Fit, Screen, StyledText},
};
use crate::{
    cli::output,
    client::{
        json,
        pb::{self, actor::Other},
    },
};

/// Show one alert.
#[derive(Debug, Args)]
pub struct Get {
    /// The alert's id, ano_…
    anomaly_id: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Get {
    /// Reads the alert and prints it.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let request = pb::GetAlertRequest { anomaly_id: self.anomaly_id };
        let alert = client.get_alert(request).await?.alert.unwrap_or_default();
        if self.output.json {
            return output::print_json(&json::alert(&alert));
        }
        let screen = Screen::of_output();
        let status = StatusColours::of(&client, screen).await.styled(&alert.status, alert.status_class);
        screen.table(["FIELD", "VALUE"], rows(&alert, status, screen), Fit::default())
    }
}

/// Lists the fields that are not empty.
fn rows(alert: &pb::Alert, status: StyledText, screen: Screen) -> Vec<[StyledText; 2]> {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let list = |list: &[String]| text(&list.join(", "));
    let before = [("anomaly_id", text(&alert.anomaly_id))];
    let metadata = alert.metadata.as_ref().filter(|metadata| !metadata.fields.is_empty());
    let after = [
        ("title", text(&alert.title)),
        ("description", text(&alert.description)),
        ("type", text(json::entity_type(alert.r#type))),
        ("severity", json::severity(alert.severity).and_then(text)),
        ("assigned_to", text(&alert.assigned_to)),
        ("escalated_to", list(&alert.escalated_to)),
        ("affected_balances", list(&alert.affected_balances)),
        ("affected_identities", list(&alert.affected_identities)),
        ("affected_transactions", list(&alert.affected_transactions)),
        ("metadata", metadata.map(json::object_text)),
        ("disposition", json::disposition(alert.disposition).and_then(text)),
        ("disposition_reason", text(&alert.disposition_reason)),
        ("created_at", text(&screen.time(alert.created_at.as_ref()))),
        ("updated_at", text(&screen.time(alert.updated_at.as_ref()))),
        ("closed_at", text(&screen.time(alert.closed_at.as_ref()))),
        ("closed_by", alert.closed_by.as_ref().map(actor_name)),
        ("dedup_key", text(&alert.dedup_key)),
        ("occurrence_count", text(&alert.occurrence_count.to_string())),
        ("last_occurred_at", text(&screen.time(alert.last_occurred_at.as_ref()))),
        ("previous_anomaly_id", text(&alert.previous_anomaly_id)),
        ("version", text(&alert.version.to_string())),
    ];
    let row =
        |(name, value): (&str, Option<String>)| Some([StyledText::from(name), StyledText::from(value?)]);
    let status = [StyledText::from("status"), status];
    before.into_iter().filter_map(row).chain([status]).chain(after.into_iter().filter_map(row)).collect()
}

/// Names an actor: the person, where there is one, and the key that acted for them; else the source, or the part of redflag.
pub fn actor_name(actor: &pb::Actor) -> String {
    match (&actor.other, &actor.on_behalf_of) {
        (Some(Other::Person(person)), _) => person.name.clone(),
        (Some(Other::Source(source)), _) => format!("source {}", source.name),
        (Some(Other::System(system)), _) => format!("redflag ({})", system.name),
        (None, Some(person)) => format!("{person} (key {})", actor.key_name),
        (None, None) => format!("key {}", actor.key_name),
    }
}
