//! `redflag events`.

use clap::Args;

use super::{
    Connection, MAX_PAGE_SIZE, Output,
    get::actor_name,
    screen::{Fit, Screen, StyledText},
};
use crate::{
    cli::output,
    client::{Client, json, pb},
};

/// The most characters that are shown of a value before or after a change, and of a note.
const MAX_VALUE_SHOWN: usize = 60;
const MAX_NOTE_SHOWN: usize = 200;

/// Show the whole history of an alert, oldest first; long values are shortened, but not with --json.
#[derive(Debug, Args)]
pub struct Events {
    /// The alert's id, ano_…
    anomaly_id: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Events {
    /// Reads the history and prints it.
    pub async fn run(self) -> anyhow::Result<()> {
        let list = read(&self.connection.client()?, self.anomaly_id).await?;
        if self.output.json {
            return output::print_json(&json::events(&list));
        }
        let screen = Screen::of_output();
        let rows = list.events.iter().map(|event| row(event, screen)).collect();
        screen.table(["SEQUENCE", "TYPE", "CREATED_AT", "ACTOR", "CHANGES", "NOTE"], rows, Fit::default())
    }
}

/// Reads all events of an alert, as one list.
async fn read(client: &Client, anomaly_id: String) -> anyhow::Result<pb::ListAlertEventsResponse> {
    let mut list = pb::ListAlertEventsResponse::default();
    let mut request =
        pb::ListAlertEventsRequest { anomaly_id, page_size: MAX_PAGE_SIZE, ..Default::default() };
    loop {
        let page = client.list_alert_events(request.clone()).await?;
        list.events.extend(page.events);
        if page.next_page_token.is_empty() {
            return Ok(list);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(event: &pb::AlertEvent, screen: Screen) -> [StyledText; 6] {
    [
        event.sequence.to_string().into(),
        json::event_type(event.r#type).into(),
        screen.time(event.created_at.as_ref()).into(),
        event.actor.as_ref().map(actor_name).unwrap_or_default().into(),
        changes(event).into(),
        output::printable(&shortened(&event.note, MAX_NOTE_SHOWN)).into(),
    ]
}

/// Cuts a text to `most` characters and marks the cut.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Writes the changes in a line; a dash for a new alert, which has only new values.
fn changes(event: &pb::AlertEvent) -> String {
    if event.sequence == 1 {
        return "-".to_owned();
    }
    let change = |change: &pb::FieldChange| {
        let [before, after] = [&change.before, &change.after]
            .map(|value| shortened(&json::value_text(value.as_ref()), MAX_VALUE_SHOWN));
        output::printable(&format!("{}: {before} → {after}", change.field))
    };
    event.changes.iter().map(change).collect::<Vec<_>>().join("; ")
}
