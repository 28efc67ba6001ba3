//! The lists that are read: one for each filter that people use.

use prost_types::Timestamp;
use redflag::grpc::pb::{Disposition, EntityType, ListAlertsRequest, Severity, StatusClass};

use super::shape::hot_entity;
use crate::callers::PAGE_SIZE;

/// A list: its name and what asks for it, newest first.
pub struct Filter {
    pub name: &'static str,
    pub request: ListAlertsRequest,
}

/// All of them; the first has no filter. `oldest` and `newest` are when the oldest and the newest alert were made.
pub fn filters(oldest: Timestamp, newest: Timestamp) -> Vec<Filter> {
    let all = ListAlertsRequest { page_size: PAGE_SIZE, ..ListAlertsRequest::default() };
    let filter = |name, change: &dyn Fn(&mut ListAlertsRequest)| {
        let mut request = all.clone();
        change(&mut request);
        Filter { name, request }
    };
    let quarter = (newest.seconds - oldest.seconds) / 4;
    let at = |quarters: i64| Some(Timestamp { seconds: oldest.seconds + quarters * quarter, nanos: 0 });
    vec![
        filter("none", &|_| {}),
        filter("status FLAGGED", &|list| list.statuses = vec!["FLAGGED".to_owned()]),
        filter("status class CLOSED", &|list| list.status_classes = vec![StatusClass::Closed.into()]),
        filter("type TRANSACTION", &|list| list.types = vec![EntityType::Transaction.into()]),
        filter("severity CRITICAL", &|list| list.severities = vec![Severity::Critical.into()]),
        filter("disposition BENIGN", &|list| list.dispositions = vec![Disposition::Benign.into()]),
        filter("assigned to somebody", &|list| list.assigned_to = Some("analyst-0".to_owned())),
        filter("assigned to nobody, open", &|list| {
            list.assigned_to = Some(String::new());
            list.status_classes = vec![StatusClass::Open.into()];
        }),
        filter("escalated to somebody", &|list| "lead-0".clone_into(&mut list.escalated_to)),
        filter("about a hot entity", &|list| list.entity_ids = vec![hot_entity()]),
        filter("made in half a year", &|list| (list.created_after, list.created_before) = (at(1), at(3))),
        filter("high or critical, open", &|list| {
            list.severities = vec![Severity::High.into(), Severity::Critical.into()];
            list.status_classes = vec![StatusClass::Open.into()];
        }),
    ]
}
