//! Reading alerts: one by its id, many by filters.

use serde_json::json;

use super::{Parsed, Service, alert_not_found, fields::Fields, page_token};
use crate::{
    auth::Caller,
    domain::{
        Alert, AlertFilter, AlertQuery, AnomalyId, Assignee, Cursor, Disposition, EntityType, OrganizationId,
        PageSize, Person, Scope, Severity, SortOrder, StatusClass, StatusKey, StatusOrigin, TimeRange,
        Timestamp,
        clock::{to_micros, to_micros_up},
        invalid::parse_list,
    },
    error::{Error, Violation},
};

/// A request for a list of alerts; empty filters don't filter.
#[derive(Debug)]
pub struct ListInput {
    /// In one of these statuses.
    pub statuses: Vec<String>,
    /// In a status of one of these classes.
    pub status_classes: Parsed<Vec<StatusClass>>,
    /// Raised for one of these kinds of entity.
    pub types: Parsed<Vec<EntityType>>,
    /// Of one of these severities.
    pub severities: Parsed<Vec<Severity>>,
    /// Taken to one of these decisions.
    pub dispositions: Parsed<Vec<Disposition>>,
    /// Assigned to this person; the empty one means nobody.
    pub assigned_to: Option<String>,
    /// Escalated to this person.
    pub escalated_to: Option<String>,
    /// About at least one of these entities.
    pub entity_ids: Vec<String>,
    /// Made after this instant.
    pub created_after: Parsed<Option<Timestamp>>,
    /// Made before this instant.
    pub created_before: Parsed<Option<Timestamp>>,
    /// Last changed after this instant.
    pub updated_after: Parsed<Option<Timestamp>>,
    /// Last changed before this instant.
    pub updated_before: Parsed<Option<Timestamp>>,
    /// In which order.
    pub order: Parsed<SortOrder>,
    /// How many a page holds.
    pub page_size: Parsed<Option<i64>>,
    /// The page to continue at; empty for the first one.
    pub page_token: String,
    /// True to count all that match.
    pub include_total: Parsed<bool>,
    /// The violations that the face found already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// One page of alerts.
#[derive(Debug)]
pub struct ListedAlerts {
    /// The alerts, in order.
    pub alerts: Vec<Alert>,
    /// The token of the next page; empty for the last one.
    pub next_page_token: String,
    /// How many match over all pages, when asked for.
    pub total: Option<i64>,
}

impl Service {
    /// Reads one alert.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:read`; `ALERT_NOT_FOUND`.
    pub async fn alert(&self, caller: &Caller, anomaly_id: &str) -> Result<Alert, Error> {
        caller.require(Scope::AlertsRead)?;
        let id = AnomalyId::parse(anomaly_id).map_err(|_| alert_not_found())?;
        self.store.alert(caller.organization_id(), id).await?.ok_or_else(alert_not_found)
    }

    /// Reads one page of alerts.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:read`; `GEN_VALIDATION_ERROR`,
    /// `ALERT_INVALID_ENTITY_ID`, `ALERT_UNKNOWN_STATUS`, `GEN_INVALID_PAGE_TOKEN`.
    pub async fn list_alerts(&self, caller: &Caller, input: ListInput) -> Result<ListedAlerts, Error> {
        caller.require(Scope::AlertsRead)?;
        let organization_id = caller.organization_id();
        let token = input.page_token.clone();
        let mut query = query(organization_id, input)?;
        let listing = describe(&query);
        query.after = continue_after(&listing, &token)?;
        self.check_statuses(organization_id, &query.filter.statuses).await?;
        let page = self.store.alerts(&query).await?;
        let last = page.items.last().filter(|_| page.has_more);
        let next_page_token = last
            .map(|alert| page_token::seal(&listing, &page_token::cursor_bytes(&alert.cursor())))
            .unwrap_or_default();
        Ok(ListedAlerts { alerts: page.items, next_page_token, total: page.total })
    }

    /// Refuses statuses that the organization does not have; built-in ones need no look.
    async fn check_statuses(&self, organization: OrganizationId, keys: &[StatusKey]) -> Result<(), Error> {
        let custom: Vec<_> =
            keys.iter().filter(|key| key.origin() == StatusOrigin::Custom).cloned().collect();
        if custom.is_empty() {
            return Ok(());
        }
        match self.store.missing_statuses(organization, &custom).await?.first() {
            None => Ok(()),
            Some(missing) => Err(self.unknown_status(organization, "statuses", missing).await),
        }
    }
}

fn query(organization_id: OrganizationId, input: ListInput) -> Result<AlertQuery, Error> {
    let mut fields = Fields::refused(input.refused);
    let most = AlertFilter::MAX_VALUES;
    let statuses = parse_list(&input.statuses, most, "statuses", StatusKey::parse);
    let assigned_to = input.assigned_to.as_deref().map(Assignee::parse).transpose();
    let escalated_to =
        input.escalated_to.as_deref().filter(|raw| !raw.is_empty()).map(Person::parse).transpose();
    let filter = AlertFilter {
        statuses: fields.read("statuses", statuses).unwrap_or_default(),
        status_classes: fields.read("status_classes", distinct(input.status_classes)).unwrap_or_default(),
        types: fields.read("types", distinct(input.types)).unwrap_or_default(),
        severities: fields.read("severities", distinct(input.severities)).unwrap_or_default(),
        dispositions: fields.read("dispositions", distinct(input.dispositions)).unwrap_or_default(),
        assigned_to: fields.read("assigned_to", assigned_to).flatten(),
        escalated_to: fields.read("escalated_to", escalated_to).flatten(),
        entity_ids: fields.read_entities("entity_ids", &input.entity_ids, most).unwrap_or_default(),
        created: TimeRange {
            after: fields.read("created_after", input.created_after).flatten().map(to_micros),
            before: fields.read("created_before", input.created_before).flatten().map(to_micros_up),
        },
        updated: TimeRange {
            after: fields.read("updated_after", input.updated_after).flatten().map(to_micros),
            before: fields.read("updated_before", input.updated_before).flatten().map(to_micros_up),
        },
    };
    let order = fields.read("order", input.order).unwrap_or_default();
    let size = input.page_size.and_then(|raw| PageSize::parse(raw, PageSize::DEFAULT));
    let size = fields.read("page_size", size).unwrap_or(PageSize::DEFAULT);
    let include_total = fields.read("include_total", input.include_total).unwrap_or_default();
    fields.finish()?;
    Ok(AlertQuery { organization_id, filter, order, after: None, size, include_total })
}

/// The values of a filter in a fixed order and without duplicates.
fn distinct<T: Ord>(values: Parsed<Vec<T>>) -> Parsed<Vec<T>> {
    values.map(|mut values| {
        values.sort_unstable();
        values.dedup();
        values
    })
}

fn continue_after(list: &str, token: &str) -> Result<Option<Cursor>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    page_token::parse_cursor(&page_token::open(list, token)?).map(Some)
}

/// The list that a page token is bound to, with everything that selects and orders its entries, but not the page size.
fn describe(query: &AlertQuery) -> String {
    let AlertFilter {
        statuses,
        status_classes,
        types,
        severities,
        dispositions,
        assigned_to,
        escalated_to,
        entity_ids,
        created,
        updated,
    } = &query.filter;
    let sorted = |mut words: Vec<String>| {
        words.sort_unstable();
        words
    };
    let micros = |at: Option<Timestamp>| at.map(|at| at.timestamp_micros());
    json!({
        "list": "alerts",
        "organization": query.organization_id.to_string(),
        "ascending": query.order == SortOrder::Ascending,
        "statuses": sorted(statuses.iter().map(ToString::to_string).collect()),
        "status_classes": status_classes.iter().map(|class| class.code()).collect::<Vec<_>>(),
        "types": types.iter().map(|kind| kind.code()).collect::<Vec<_>>(),
        "severities": severities.iter().map(|severity| severity.code()).collect::<Vec<_>>(),
        "dispositions": dispositions.iter().map(|disposition| disposition.code()).collect::<Vec<_>>(),
        "assigned_to": assigned_to.as_ref().map(Assignee::as_str),
        "escalated_to": escalated_to.as_ref().map(Person::as_str),
        "entity_ids": sorted(entity_ids.iter().map(ToString::to_string).collect()),
        "created": [micros(created.after), micros(created.before)],
        "updated": [micros(updated.after), micros(updated.before)],
    })
    .to_string()
}
