//! Reading the history: of one alert, and the organization's whole feed.

use serde_json::json;

use super::{Parsed, Service, alert_not_found, fields::Fields, page_token};
use crate::{
    auth::Caller,
    domain::{AlertEvent, AnomalyId, Head, Invalid, Page, PageSize, Scope},
    error::{Error, Reason, Violation},
};

/// A request for the history of an alert.
#[derive(Debug)]
pub struct AlertEventsInput {
    /// The id of the alert.
    pub anomaly_id: String,
    /// How many events a page holds.
    pub page_size: Parsed<Option<i64>>,
    /// The page to continue at; empty for the first one.
    pub page_token: String,
    /// The violations that the face found already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// A request for a part of the feed.
#[derive(Debug)]
pub struct EventsInput {
    /// After which position; from the first event when absent.
    pub after: Parsed<Option<i64>>,
    /// How many events a page holds.
    pub page_size: Parsed<Option<i64>>,
    /// The page to continue at; empty for the first one.
    pub page_token: String,
    /// The violations that the face found already, to be listed with the rest.
    pub refused: Vec<Violation>,
}

/// One page of events.
#[derive(Debug)]
pub struct ListedEvents {
    /// The events, in order.
    pub events: Vec<AlertEvent>,
    /// The token of the next page; empty for the last one.
    pub next_page_token: String,
}

impl Service {
    /// Reads one page of an alert's history, oldest first.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:read`; `ALERT_NOT_FOUND`, `GEN_VALIDATION_ERROR`,
    /// `GEN_INVALID_PAGE_TOKEN`.
    pub async fn alert_events(
        &self,
        caller: &Caller,
        input: AlertEventsInput,
    ) -> Result<ListedEvents, Error> {
        caller.require(Scope::AlertsRead)?;
        let mut fields = Fields::refused(input.refused);
        let size = read_size(&mut fields, input.page_size);
        fields.finish()?;
        let id = AnomalyId::parse(&input.anomaly_id).map_err(|_| alert_not_found())?;
        let organization = caller.organization_id();
        let list = json!({ "list": "alert_events", "organization": organization.to_string(), "alert": id.to_string() });
        let list = list.to_string();
        let after = continue_after(&list, &input.page_token)?.unwrap_or_default();
        let page = self.store.alert_events(organization, id, after, size).await?;
        if page.items.is_empty() && self.store.alert(organization, id).await?.is_none() {
            return Err(alert_not_found());
        }
        Ok(listed(&list, page, |event| event.sequence))
    }

    /// Reads one page of the organization's feed.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:read`; `GEN_VALIDATION_ERROR`,
    /// `GEN_INVALID_PAGE_TOKEN`.
    pub async fn events(&self, caller: &Caller, input: EventsInput) -> Result<ListedEvents, Error> {
        caller.require(Scope::AlertsRead)?;
        let mut fields = Fields::refused(input.refused);
        let size = read_size(&mut fields, input.page_size);
        let after = fields.read("after", input.after.and_then(not_negative)).unwrap_or_default();
        fields.finish()?;
        let organization = caller.organization_id();
        let list = json!({ "list": "events", "organization": organization.to_string(), "after": after });
        let list = list.to_string();
        let after = continue_after(&list, &input.page_token)?.unwrap_or(after);
        let page = self.store.events(organization, after, size).await?;
        Ok(listed(&list, page, |event| event.position))
    }

    /// Reads where the organization's feed ends.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:read`.
    pub async fn head(&self, caller: &Caller) -> Result<Head, Error> {
        caller.require(Scope::AlertsRead)?;
        let head = self.store.head(caller.organization_id()).await?;
        head.ok_or_else(|| Error::new(Reason::NotFound, "there is no such organization"))
    }
}

fn read_size(fields: &mut Fields, given: Parsed<Option<i64>>) -> PageSize {
    let size = given.and_then(|raw| PageSize::parse(raw, PageSize::DEFAULT));
    fields.read("page_size", size).unwrap_or(PageSize::DEFAULT)
}

fn not_negative(after: Option<i64>) -> Parsed<i64> {
    match after.unwrap_or_default() {
        after if after < 0 => Err(Invalid::new(format!("must not be negative, is {after}"))),
        after => Ok(after),
    }
}

fn listed(list: &str, page: Page<AlertEvent>, place: impl Fn(&AlertEvent) -> i64) -> ListedEvents {
    let next = page.items.last().filter(|_| page.has_more).map(place);
    let next_page_token = next.map(|place| page_token::seal(list, &place.to_be_bytes())).unwrap_or_default();
    ListedEvents { events: page.items, next_page_token }
}

fn continue_after(list: &str, token: &str) -> Result<Option<i64>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let place = page_token::open(list, token)?;
    let place = place.try_into().map_err(|_| page_token::refused())?;
    Ok(Some(i64::from_be_bytes(place)))
}
