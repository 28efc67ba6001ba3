//! `redflag list`.

use clap::{ArgGroup, Args};

use super::{
    Connection, MAX_PAGE_SIZE, Output,
    colours::StatusColours,
    parse,
    screen::{Fit, Screen, StyledText},
};
use crate::{
    cli::output,
    client::{Client, Timestamp, json, pb},
};

/// The filter, the order and the number of alerts.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how_many").args(["limit", "all"]))]
pub struct List {
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
    /// How many alerts at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    limit: i32,
    /// All alerts that match, however many; they are kept in memory until the last has come
    #[arg(long)]
    all: bool,
    /// Continue where a list with the same filters ended: its `next_page_token`
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TOKEN")]
    page_token: String,
    /// Count all alerts that match
    #[arg(long)]
    include_total: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    connection: Connection,
}

/// The filter of alerts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
struct Filter {
    /// In this status, by its key
    #[arg(long = "status", value_delimiter = ',', value_name = "KEY")]
    statuses: Vec<String>,
    /// In a status of this class: open, `in_progress` or closed
    #[arg(long = "status-class", value_delimiter = ',', value_name = "CLASS", value_parser = parse::status_class)]
    status_classes: Vec<i32>,
    /// Raised for this kind of entity: balance, transaction or identity
    #[arg(long = "type", value_delimiter = ',', value_name = "TYPE", value_parser = parse::entity_type)]
    types: Vec<i32>,
    /// Of this severity: low, medium, high or critical
    #[arg(long = "severity", value_delimiter = ',', value_name = "SEVERITY", value_parser = parse::severity)]
    severities: Vec<i32>,
    /// Decided as this: `TRUE_POSITIVE`, `FALSE_POSITIVE`, `BENIGN`, `DUPLICATE` or `INCONCLUSIVE`
    #[arg(long = "disposition", value_delimiter = ',', value_name = "DISPOSITION", value_parser = parse::disposition)]
    dispositions: Vec<i32>,
    /// Assigned to exactly this person; empty for nobody
    #[arg(long, value_name = "PERSON")]
    assigned_to: Option<String>,
    /// Escalated to this person
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PERSON")]
    escalated_to: String,
    /// About this entity
    #[arg(long = "entity", value_delimiter = ',', value_name = "ENTITY_ID")]
    entity_ids: Vec<String>,
    /// Made after this time, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    created_after: Option<Timestamp>,
    /// Made before this time
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    created_before: Option<Timestamp>,
    /// Last changed after this time
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    updated_after: Option<Timestamp>,
    /// Last changed before this time
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    updated_before: Option<Timestamp>,
}

impl Filter {
    fn request(self) -> pb::ListAlertsRequest {
        pb::ListAlertsRequest {
            statuses: self.statuses,
            status_classes: self.status_classes,
            types: self.types,
            severities: self.severities,
            dispositions: self.dispositions,
            assigned_to: self.assigned_to,
            escalated_to: self.escalated_to,
            entity_ids: self.entity_ids,
            created_after: self.created_after,
            created_before: self.created_before,
            updated_after: self.updated_after,
            updated_before: self.updated_before,
            ..Default::default()
        }
    }
}

impl List {
    /// Reads as many pages as needed, and prints them as one list.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let order = if self.oldest_first { pb::SortOrder::Asc } else { pb::SortOrder::Desc };
        let (page_token, include_total) = (self.page_token, self.include_total);
        let request =
            pb::ListAlertsRequest { order: order.into(), page_token, include_total, ..self.filter.request() };
        let limit = if self.all { None } else { Some(self.limit) };
        let list = read(&client, request, limit).await?;
        if self.output.json {
            return output::print_json(&json::alerts(&list));
        }
        let screen = Screen::of_output();
        let colours = StatusColours::of(&client, screen).await;
        print(&list, screen, &colours)
    }
}

/// Reads at most `limit` alerts, page by page, as one list.
async fn read(
    client: &Client,
    mut request: pb::ListAlertsRequest,
    limit: Option<i32>,
) -> anyhow::Result<pb::ListAlertsResponse> {
    let mut list = pb::ListAlertsResponse::default();
    let mut left = limit;
    loop {
        request.page_size = left.map_or(MAX_PAGE_SIZE, |left| left.min(MAX_PAGE_SIZE));
        let page = client.list_alerts(request.clone()).await?;
        let count = i32::try_from(page.alerts.len()).unwrap_or(i32::MAX);
        left = left.map(|left| left.saturating_sub(count));
        list.alerts.extend(page.alerts);
        list.total_size = list.total_size.or(page.total_size);
        list.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() || left.is_some_and(|left| left <= 0) {
            return Ok(list);
        }
        // Only the first page counts: each count costs a pass over the index.
        (request.page_token, request.include_total) = (page.next_page_token, false);
    }
}

const HEADINGS: [&str; 7] =
    ["ANOMALY_ID", "STATUS", "SEVERITY", "TYPE", "ASSIGNED_TO", "CREATED_AT", "TITLE"];

/// Leaves out the type first, then the person it is assigned to, the time and the severity.
const FIT: Fit = Fit { optional: &[3, 4, 5, 2], lines: Some(2) };

fn print(list: &pb::ListAlertsResponse, screen: Screen, colours: &StatusColours) -> anyhow::Result<()> {
    let row = |alert: &pb::Alert| {
        [
            StyledText::from(&alert.anomaly_id),
            colours.styled(&alert.status, alert.status_class),
            json::severity(alert.severity).unwrap_or("-").into(),
            json::entity_type(alert.r#type).into(),
            one_line(&alert.assigned_to).into(),
            screen.time(alert.created_at.as_ref()).into(),
            one_line(&alert.title).into(),
        ]
    };
    screen.table(HEADINGS, list.alerts.iter().map(row).collect(), FIT)?;
    if let Some(total) = list.total_size {
        output::notice(&format!("{total} in all"));
    }
    if !list.next_page_token.is_empty() {
        let token = output::printable(&list.next_page_token);
        output::notice(&format!("there are more: --all, or --page-token {token}"));
    }
    Ok(())
}

/// Writes a cell of a list; a dash for empty text, so that scripts can split columns.
fn one_line(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { output::printable(text) }
}
