//! Conversions between messages and the service's types.

mod mask;
pub mod metadata;
mod resources;

pub use mask::{status_update_input, update_input};

use chrono::DateTime;

use super::pb;
use crate::{
    domain::{
        AlertFilter, Disposition, EntityType, Invalid, Severity, SortOrder, StatusClass, Timestamp, clock,
    },
    service::{
        AlertEventsInput, ChangeOptions, EscalateInput, EventsInput, FlagInput, ListInput, NewStatusInput,
        Parsed,
    },
};

/// Makes the input of a flag.
pub fn flag_input(message: pb::FlagEntityRequest) -> FlagInput {
    FlagInput {
        entity_id: message.entity_id,
        additional_entity_ids: message.additional_entity_ids,
        title: message.title,
        description: message.description,
        status: Some(message.status),
        severity: severity(message.severity),
        assigned_to: message.assigned_to,
        escalated_to: message.escalated_to,
        metadata: metadata::to_json(message.metadata.unwrap_or_default()),
        dedup_key: Some(message.dedup_key),
        options: options(message.note, message.request_id, 0),
    }
}

/// Makes the input of an escalation.
pub fn escalate_input(message: pb::EscalateAlertRequest) -> EscalateInput {
    EscalateInput {
        anomaly_id: message.anomaly_id,
        to: message.to,
        options: options(message.note, message.request_id, message.expected_version),
    }
}

/// Makes the options of a change; version 0 is any.
fn options(note: String, idempotency_key: String, expected_version: i64) -> ChangeOptions {
    let expected_versions = (expected_version != 0).then(|| vec![expected_version]);
    ChangeOptions { note, idempotency_key: Some(idempotency_key), expected_versions }
}

/// Makes the input for an alert's history.
pub fn alert_events_input(message: pb::ListAlertEventsRequest) -> AlertEventsInput {
    AlertEventsInput {
        anomaly_id: message.anomaly_id,
        page_size: Ok(Some(message.page_size.into())),
        page_token: message.page_token,
        refused: Vec::new(),
    }
}

/// Makes the input for a part of the feed.
pub fn events_input(message: pb::ListEventsRequest) -> EventsInput {
    EventsInput {
        after: Ok(Some(message.after)),
        page_size: Ok(Some(message.page_size.into())),
        page_token: message.page_token,
        refused: Vec::new(),
    }
}

/// Makes the input for a list of alerts.
pub fn list_input(message: pb::ListAlertsRequest) -> ListInput {
    ListInput {
        statuses: message.statuses,
        status_classes: all(&message.status_classes, given_class),
        types: all(&message.types, given_type),
        severities: all(&message.severities, given_severity),
        dispositions: all(&message.dispositions, given_disposition),
        assigned_to: message.assigned_to,
        escalated_to: Some(message.escalated_to),
        entity_ids: message.entity_ids,
        created_after: message.created_after.map(instant).transpose(),
        created_before: message.created_before.map(instant).transpose(),
        updated_after: message.updated_after.map(instant).transpose(),
        updated_before: message.updated_before.map(instant).transpose(),
        order: order(message.order),
        page_size: Ok(Some(message.page_size.into())),
        page_token: message.page_token,
        include_total: Ok(message.include_total),
        refused: Vec::new(),
    }
}

/// Makes the input for a new status.
pub fn new_status_input(message: pb::CreateAlertStatusRequest) -> NewStatusInput {
    let class = match message.class {
        0 => Ok(None),
        class => given_class(class).map(Some),
    };
    NewStatusInput {
        name: message.name,
        colour: message.colour,
        key: Some(message.key),
        class,
        idempotency_key: Some(message.request_id),
    }
}

fn all<T>(numbers: &[i32], read: fn(i32) -> Parsed<T>) -> Parsed<Vec<T>> {
    if numbers.len() > AlertFilter::MAX_VALUES {
        return Err(Invalid::too_many(AlertFilter::MAX_VALUES, "values", numbers.len()));
    }
    let entries = numbers.iter().enumerate();
    entries.map(|(index, &number)| read(number).map_err(|rule| rule.at(index))).collect()
}

fn severity(number: i32) -> Parsed<Severity> {
    if number == 0 { Ok(Severity::Unspecified) } else { given_severity(number) }
}

/// Parses a severity other than the unspecified one. The enum's numbers are the stored codes.
fn given_severity(number: i32) -> Parsed<Severity> {
    let known = i16::try_from(number).ok().filter(|&code| code != 0).and_then(Severity::from_code);
    known.ok_or_else(|| unknown("Severity", number))
}

fn disposition(number: i32) -> Parsed<Disposition> {
    if number == 0 { Ok(Disposition::Unspecified) } else { given_disposition(number) }
}

/// Parses a disposition other than the unspecified one.
fn given_disposition(number: i32) -> Parsed<Disposition> {
    let known = i16::try_from(number).ok().filter(|&code| code != 0).and_then(Disposition::from_code);
    known.ok_or_else(|| unknown("Disposition", number))
}

fn given_class(number: i32) -> Parsed<StatusClass> {
    let known = i16::try_from(number).ok().and_then(StatusClass::from_code);
    known.ok_or_else(|| unknown("StatusClass", number))
}

fn given_type(number: i32) -> Parsed<EntityType> {
    let known = i16::try_from(number).ok().and_then(EntityType::from_code);
    known.ok_or_else(|| unknown("EntityType", number))
}

fn order(number: i32) -> Parsed<SortOrder> {
    match pb::SortOrder::try_from(number) {
        Ok(pb::SortOrder::Unspecified | pb::SortOrder::Desc) => Ok(SortOrder::Descending),
        Ok(pb::SortOrder::Asc) => Ok(SortOrder::Ascending),
        Err(_) => Err(unknown("SortOrder", number)),
    }
}

fn unknown(name: &str, number: i32) -> Invalid {
    Invalid::new(format!("must be a known value of {name} other than the unspecified one, is {number}"))
}

fn instant(timestamp: prost_types::Timestamp) -> Parsed<Timestamp> {
    let nanos = u32::try_from(timestamp.nanos).ok().filter(|&nanos| nanos < 1_000_000_000);
    let at =
        nanos.and_then(|nanos| DateTime::from_timestamp(timestamp.seconds, nanos)).filter(clock::is_writable);
    at.ok_or_else(|| Invalid::new("must be a time in the years 1 to 9999 with 0 to 999,999,999 nanoseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventType;

    #[test]
    fn enum_numbers_are_the_codes_that_stores_keep() {
        for (code, word) in [(1, "LOW"), (2, "MEDIUM"), (3, "HIGH"), (4, "CRITICAL")] {
            assert_eq!(given_severity(code).unwrap().word().unwrap().to_uppercase(), word);
            assert_eq!(pb::Severity::try_from(code).unwrap().as_str_name(), format!("SEVERITY_{word}"));
        }
        for disposition in Disposition::GIVEN {
            let name = format!("DISPOSITION_{}", disposition.word().unwrap().to_uppercase());
            let number = i32::from(disposition.code());
            assert_eq!(pb::Disposition::try_from(number).unwrap().as_str_name(), name);
        }
        for kind in EventType::ALL {
            let name = format!("ALERT_EVENT_TYPE_{}", kind.as_str());
            let number = i32::from(kind.code());
            assert_eq!(pb::AlertEventType::try_from(number).unwrap().as_str_name(), name);
        }
        for class in StatusClass::ALL {
            let name = format!("STATUS_CLASS_{}", class.as_str().to_uppercase());
            assert_eq!(pb::StatusClass::try_from(i32::from(class.code())).unwrap().as_str_name(), name);
        }
        for kind in EntityType::ALL {
            let name = format!("ENTITY_TYPE_{}", kind.as_str().to_uppercase());
            assert_eq!(pb::EntityType::try_from(i32::from(kind.code())).unwrap().as_str_name(), name);
        }
        for number in [-1, 0, 5, i32::MIN, i32::MAX] {
            assert!(
                given_severity(number).is_err()
                    && given_class(number).is_err()
                    && given_type(number).is_err()
            );
        }
    }

    #[test]
    fn instants_outside_of_the_contract_are_refused() {
        let at = |seconds, nanos| instant(prost_types::Timestamp { seconds, nanos });
        assert!(at(0, 999_999_999).is_ok() && at(253_402_300_799, 0).is_ok());
        for (seconds, nanos) in
            [(0, -1), (0, 1_000_000_000), (i64::MIN, 0), (i64::MAX, 0), (253_402_300_800, 0)]
        {
            assert!(at(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
    }
}
