//! Updates by field mask. An empty mask means the fields that are set.

use prost_types::FieldMask;

use super::{super::pb, disposition, metadata, options, severity};
use crate::{
    domain::{Invalid, invalid::quoted},
    error::Violation,
    service::{StatusUpdateInput, UpdateInput},
};

/// The fields of an alert that a mask may name.
const ALERT_FIELDS: [&str; 12] = [
    "title",
    "description",
    "status",
    "severity",
    "assigned_to",
    "escalated_to",
    "metadata",
    "affected_balances",
    "affected_identities",
    "affected_transactions",
    "disposition",
    "disposition_reason",
];

/// The fields of a status that a mask may name.
const STATUS_FIELDS: [&str; 2] = ["name", "colour"];

/// The most wrong paths of a mask that an error names.
const MAX_NAMED: usize = 3;

/// Makes the input of an update of an alert. Unknown paths of the mask are violations, refused by the service with all others.
pub fn update_input(message: pb::UpdateAlertRequest) -> UpdateInput {
    let alert = message.alert.unwrap_or_default();
    let (mask, refused) = paths(message.update_mask, &ALERT_FIELDS);
    let wants = |field: &str, is_set: bool| {
        if mask.is_empty() { is_set } else { mask.iter().any(|p| p == field) }
    };
    let list = |field: &str, list: Vec<String>| wants(field, !list.is_empty()).then_some(list);
    let text = |field: &str, text: String| wants(field, !text.is_empty()).then_some(text);
    UpdateInput {
        anomaly_id: alert.anomaly_id,
        title: text("title", alert.title),
        description: text("description", alert.description),
        status: text("status", alert.status),
        severity: wants("severity", alert.severity != 0).then(|| severity(alert.severity)),
        assigned_to: text("assigned_to", alert.assigned_to),
        escalated_to: list("escalated_to", alert.escalated_to),
        metadata: wants("metadata", alert.metadata.is_some())
            .then(|| metadata::to_json(alert.metadata.unwrap_or_default())),
        affected_balances: list("affected_balances", alert.affected_balances),
        affected_transactions: list("affected_transactions", alert.affected_transactions),
        affected_identities: list("affected_identities", alert.affected_identities),
        disposition: wants("disposition", alert.disposition != 0).then(|| disposition(alert.disposition)),
        disposition_reason: text("disposition_reason", alert.disposition_reason),
        options: options(message.note, message.request_id, message.expected_version),
        refused,
    }
}

/// Makes the input of an update of a status. Unknown paths of the mask are violations, as for an alert.
pub fn status_update_input(message: pb::UpdateAlertStatusRequest) -> StatusUpdateInput {
    let status = message.alert_status.unwrap_or_default();
    let (mask, refused) = paths(message.update_mask, &STATUS_FIELDS);
    let text = |field: &str, text: String| {
        let wanted = if mask.is_empty() { !text.is_empty() } else { mask.iter().any(|path| path == field) };
        wanted.then_some(text)
    };
    StatusUpdateInput {
        key: status.key,
        name: text("name", status.name),
        colour: text("colour", status.colour),
        idempotency_key: Some(message.request_id),
        refused,
    }
}

/// Returns the paths of a mask, and the violations of unknown ones.
fn paths(mask: Option<FieldMask>, known: &[&str]) -> (Vec<String>, Vec<Violation>) {
    let paths = mask.unwrap_or_default().paths;
    let unknown = paths.iter().filter(|path| !known.contains(&path.as_str()));
    let violations: Vec<_> = unknown
        .take(MAX_NAMED)
        .map(|path| {
            let rule = format!("must name only {}, names {}", known.join(", "), quoted(path));
            Violation { field: "update_mask".to_owned(), rule: Invalid::new(rule) }
        })
        .collect();
    (paths, violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(alert: pb::Alert, paths: &[&str]) -> UpdateInput {
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        update_input(pb::UpdateAlertRequest {
            alert: Some(alert),
            update_mask: Some(mask),
            ..Default::default()
        })
    }

    #[test]
    fn an_empty_mask_means_the_fields_that_are_set() {
        let alert = pb::Alert { title: "t".into(), severity: 3, version: 7, ..Default::default() };
        let input = update(alert, &[]);
        assert_eq!(input.title.as_deref(), Some("t"));
        assert!(input.severity.is_some() && input.description.is_none() && input.escalated_to.is_none());
    }

    #[test]
    fn a_named_field_that_is_empty_is_cleared() {
        let input = update(pb::Alert::default(), &["assigned_to", "metadata", "escalated_to", "severity"]);
        assert_eq!(input.assigned_to.as_deref(), Some(""));
        assert_eq!(input.escalated_to, Some(vec![]));
        assert!(
            input.metadata.unwrap().unwrap().is_empty() && input.severity.is_some() && input.title.is_none()
        );
    }

    #[test]
    fn unknown_paths_are_violations() {
        for path in ["version", "type", "metadata.a", "*", "alert.title", "Title", ""] {
            let refused = update(pb::Alert::default(), &["title", path]).refused;
            assert_eq!(refused.len(), 1);
            assert!(refused[0].rule.to_string().ends_with(&format!("names {path:?}")), "{refused:?}");
        }
    }
}
