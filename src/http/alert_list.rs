//! The filters of a list of alerts, as query parameters.

use utoipa::IntoParams;

use super::{
    query_string::{Parameters, time, truth, whole_number},
    schema::{DispositionWord, EntityIdText, EntityTypeWord, SeverityWord, StatusClassWord, StatusKeyText},
};
use crate::{
    domain::{Disposition, EntityType, Invalid, Severity, SortOrder, StatusClass},
    service::{ListInput, Parsed},
};

/// The parameters for the OpenAPI document; [`input`] reads the same.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the parameters")]
pub struct AlertListParameters {
    /// Only alerts in one of these statuses (keys, in any case): repeated or separated by commas, at most 100. Duplicates
    /// collapse, and empty values are left out, as in every list here. A key that the organization does not have is an
    /// error.
    #[param(style = Form, explode, max_items = 100, required = false)]
    status: Vec<StatusKeyText>,
    /// Only alerts whose status is of one of these classes: repeated or separated by commas.
    #[param(style = Form, explode, required = false)]
    status_class: Vec<StatusClassWord>,
    /// Only alerts that were raised for one of these kinds of entity: repeated or separated by commas.
    #[param(rename = "type", style = Form, explode, required = false)]
    kind: Vec<EntityTypeWord>,
    /// Only alerts of one of these severities: repeated or separated by commas.
    #[param(style = Form, explode, required = false)]
    severity: Vec<SeverityWord>,
    /// Only alerts that were taken to one of these decisions: repeated or separated by commas.
    #[param(style = Form, explode, required = false)]
    disposition: Vec<DispositionWord>,
    /// Only alerts assigned to exactly this person. Present but empty: only alerts assigned to nobody.
    #[param(nullable = false, max_length = 200, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    assigned_to: Option<String>,
    /// Only alerts escalated to exactly this person, perhaps among others.
    #[param(nullable = false, max_length = 200, pattern = r"^[^\x00-\x08\x0B-\x1F\x7F-\x9F]*$")]
    escalated_to: Option<String>,
    /// Only alerts about at least one of these entities: repeated or separated by commas, at most 100.
    #[param(style = Form, explode, max_items = 100, required = false)]
    entity_id: Vec<EntityIdText>,
    /// Only alerts made after this instant (RFC 3339, any offset); the instant itself is excluded.
    #[param(nullable = false, format = DateTime)]
    created_after: Option<String>,
    /// Only alerts made before this instant; the instant itself is excluded.
    #[param(nullable = false, format = DateTime)]
    created_before: Option<String>,
    /// Only alerts last changed after this instant; the instant itself is excluded.
    #[param(nullable = false, format = DateTime)]
    updated_after: Option<String>,
    /// Only alerts last changed before this instant; the instant itself is excluded.
    #[param(nullable = false, format = DateTime)]
    updated_before: Option<String>,
    /// How many alerts a page holds at most. 0 is read as the default 50, more than 1,000 as 1,000. A page can hold fewer
    /// although more follow, so that it stays below 4 MiB: only `next_page_token` tells the end.
    #[param(nullable = false, minimum = 0, default = 50)]
    page_size: Option<usize>,
    /// The `next_page_token` of the page before, given with the same filters and order. Empty: the first page.
    #[param(nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    page_token: Option<String>,
    /// `desc`: newest first, the default. `asc`: oldest first.
    #[param(inline, nullable = false)]
    order: Option<OrderWord>,
    /// Whether to count all alerts that match, which costs a pass over the index.
    #[param(nullable = false, default = false)]
    include_total: Option<bool>,
}

/// In which order a list is read.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only describes the parameter")]
enum OrderWord {
    Asc,
    Desc,
}

/// All parameters.
const PARAMETERS: [&str; 16] = [
    "status",
    "status_class",
    "type",
    "severity",
    "disposition",
    "assigned_to",
    "escalated_to",
    "entity_id",
    "created_after",
    "created_before",
    "updated_after",
    "updated_before",
    "page_size",
    "page_token",
    "order",
    "include_total",
];

/// Reads the service's input from a query string.
pub fn input(query: &str) -> ListInput {
    let mut parameters = Parameters::parse(query, &PARAMETERS);
    ListInput {
        statuses: parameters.list("status"),
        status_classes: parameters.parsed_list("status_class", StatusClass::parse),
        types: parameters.parsed_list("type", EntityType::parse),
        severities: parameters.parsed_list("severity", Severity::parse),
        dispositions: parameters.parsed_list("disposition", Disposition::parse),
        assigned_to: parameters.text("assigned_to"),
        escalated_to: parameters.text("escalated_to"),
        entity_ids: parameters.list("entity_id"),
        created_after: parameters.value("created_after", time),
        created_before: parameters.value("created_before", time),
        updated_after: parameters.value("updated_after", time),
        updated_before: parameters.value("updated_before", time),
        order: parameters.value("order", order).map(Option::unwrap_or_default),
        page_size: parameters.value("page_size", whole_number),
        page_token: parameters.text("page_token").unwrap_or_default(),
        include_total: parameters.value("include_total", truth).map(Option::unwrap_or_default),
        refused: parameters.into_refused(),
    }
}

fn order(raw: &str) -> Parsed<SortOrder> {
    match raw.to_ascii_lowercase().as_str() {
        "asc" => Ok(SortOrder::Ascending),
        "desc" => Ok(SortOrder::Descending),
        _ => Err(Invalid::unknown_word(raw, ["asc", "desc"])),
    }
}

/// Returns the parameter's name for a field of the service, where they differ: parameters are in the singular.
pub fn parameter_name(field: &str) -> Option<&'static str> {
    match field {
        "statuses" => Some("status"),
        "status_classes" => Some("status_class"),
        "types" => Some("type"),
        "severities" => Some("severity"),
        "dispositions" => Some("disposition"),
        "entity_ids" => Some("entity_id"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_documented_is_what_is_read() {
        let documented = AlertListParameters::into_params(|| None);
        let names: Vec<_> = documented.iter().map(|parameter| &parameter.name).collect();
        assert_eq!(names, PARAMETERS.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_full_query_is_read() {
        let input = input(
            "status=FLAGGED&status=pending_review&status_class=open,Closed&type=balance&severity=HIGH,low&assigned_to=\
             &entity_id=bln_1,txn_2&created_after=2026-01-15T09:22:37.5576309+01:00&page_size=10&order=asc\
             &include_total=true&page_token=abc",
        );
        assert_eq!(input.statuses, ["FLAGGED", "pending_review"]);
        assert_eq!(input.status_classes, Ok(vec![StatusClass::Open, StatusClass::Closed]));
        assert_eq!(input.types, Ok(vec![EntityType::Balance]));
        assert_eq!(input.severities, Ok(vec![Severity::High, Severity::Low]));
        assert_eq!(input.assigned_to.as_deref(), Some(""));
        assert_eq!(input.escalated_to, None);
        assert_eq!(input.entity_ids, ["bln_1", "txn_2"]);
        let after = input.created_after.unwrap().unwrap();
        assert_eq!(after.timestamp_micros(), 1_768_465_357_557_630);
        assert_eq!(input.page_size, Ok(Some(10)));
        assert_eq!(input.order, Ok(SortOrder::Ascending));
        assert_eq!(input.include_total, Ok(true));
        assert_eq!(input.page_token, "abc");
        assert_eq!(input.refused, []);
    }

    proptest! {
        #[test]
        fn no_query_string_panics(names in prop::collection::vec(0..PARAMETERS.len(), 0..9), value in "\\PC{0,9}") {
            let query: Vec<_> = names.iter().map(|name| format!("{}={value}", PARAMETERS[*name])).collect();
            let _ = input(&query.join("&"));
        }
    }
}
