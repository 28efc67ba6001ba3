//! From the scenario's words to messages. A word that no enum has becomes a number that no enum has.

use prost_types::{FieldMask, ListValue, Struct, Timestamp, Value as Proto, value::Kind};
use redflag::grpc::pb::{
    Alert, Disposition, EntityType, EscalateAlertRequest, FlagEntityRequest, ListAlertsRequest, Severity,
    SortOrder, StatusClass, UpdateAlertRequest,
};
use serde_json::{Map, Value};

use super::face::{Conditions, texts};

/// No enum has it.
const UNKNOWN: i32 = 99;

pub fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

pub fn page_size(page: &Value) -> i32 {
    page["page_size"].as_i64().map_or(0, |size| size.try_into().unwrap())
}

pub fn status_class(word: &str) -> i32 {
    let name = format!("STATUS_CLASS_{}", word.to_uppercase());
    StatusClass::from_str_name(&name).map_or(UNKNOWN, Into::into)
}

fn entity_type(word: &str) -> i32 {
    let name = format!("ENTITY_TYPE_{}", word.to_uppercase());
    EntityType::from_str_name(&name).map_or(UNKNOWN, Into::into)
}

fn severity(word: &str) -> i32 {
    let name = format!("SEVERITY_{}", word.to_uppercase());
    Severity::from_str_name(&name).map_or(UNKNOWN, Into::into)
}

fn disposition(word: &str) -> i32 {
    let name = format!("DISPOSITION_{}", word.to_uppercase());
    Disposition::from_str_name(&name).map_or(UNKNOWN, Into::into)
}

pub fn flag_request(entity_id: String, body: &Value, request_id: String) -> FlagEntityRequest {
    FlagEntityRequest {
        entity_id,
        title: text(body, "title"),
        description: text(body, "description"),
        additional_entity_ids: texts(&body["additional_entity_ids"]),
        status: text(body, "status"),
        severity: body["severity"].as_str().map_or(0, severity),
        assigned_to: body["assigned_to"].as_str().map(str::to_owned),
        escalated_to: texts(&body["escalated_to"]),
        metadata: body["metadata"].as_object().map(structure),
        dedup_key: text(body, "dedup_key"),
        note: text(body, "note"),
        request_id,
    }
}

pub fn update_request(anomaly_id: String, body: &Value, conditions: Conditions) -> UpdateAlertRequest {
    UpdateAlertRequest {
        alert: Some(alert(anomaly_id, body)),
        update_mask: Some(mask(body)),
        note: text(body, "note"),
        expected_version: conditions.version.unwrap_or_default(),
        request_id: conditions.request_id.unwrap_or_default(),
    }
}

/// A mask that names what the body gives; a note is no field of the alert.
pub fn mask(body: &Value) -> FieldMask {
    let fields = body.as_object().unwrap().keys().filter(|field| *field != "note");
    FieldMask { paths: fields.cloned().collect() }
}

pub fn escalate_request(anomaly_id: String, body: &Value, conditions: Conditions) -> EscalateAlertRequest {
    EscalateAlertRequest {
        anomaly_id,
        to: texts(&body["to"]),
        note: text(body, "note"),
        expected_version: conditions.version.unwrap_or_default(),
        request_id: conditions.request_id.unwrap_or_default(),
    }
}

fn alert(anomaly_id: String, body: &Value) -> Alert {
    Alert {
        anomaly_id,
        title: text(body, "title"),
        description: text(body, "description"),
        status: text(body, "status"),
        severity: body["severity"].as_str().map_or(0, severity),
        assigned_to: text(body, "assigned_to"),
        escalated_to: texts(&body["escalated_to"]),
        metadata: body["metadata"].as_object().map(structure),
        affected_balances: texts(&body["affected_balances"]),
        affected_identities: texts(&body["affected_identities"]),
        affected_transactions: texts(&body["affected_transactions"]),
        disposition: body["disposition"].as_str().map_or(0, disposition),
        disposition_reason: text(body, "disposition_reason"),
        ..Default::default()
    }
}

pub fn list_request(filters: &Value) -> ListAlertsRequest {
    let numbers = |field: &str, number: fn(&str) -> i32| {
        texts(&filters[field]).iter().map(|word| number(word)).collect()
    };
    let time = |field: &str| filters[field].as_str().map(instant);
    ListAlertsRequest {
        statuses: texts(&filters["statuses"]),
        status_classes: numbers("status_classes", status_class),
        types: numbers("types", entity_type),
        severities: numbers("severities", severity),
        assigned_to: filters["assigned_to"].as_str().map(str::to_owned),
        escalated_to: text(filters, "escalated_to"),
        entity_ids: texts(&filters["entity_ids"]),
        created_after: time("created_after"),
        created_before: time("created_before"),
        updated_after: time("updated_after"),
        updated_before: time("updated_before"),
        order: match filters["order"].as_str() {
            None => SortOrder::Unspecified.into(),
            Some("asc") => SortOrder::Asc.into(),
            Some("desc") => SortOrder::Desc.into(),
            Some(_) => UNKNOWN,
        },
        page_size: page_size(filters),
        page_token: text(filters, "page_token"),
        include_total: filters["include_total"].as_bool().unwrap_or_default(),
        dispositions: numbers("dispositions", disposition),
    }
}

/// What is no instant becomes nanoseconds that no second has.
fn instant(raw: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(raw).map_or(Timestamp { seconds: 0, nanos: -1 }, |at| Timestamp {
        seconds: at.timestamp(),
        nanos: at.timestamp_subsec_nanos().cast_signed(),
    })
}

fn structure(map: &Map<String, Value>) -> Struct {
    Struct { fields: map.iter().map(|(key, value)| (key.clone(), proto(value))).collect() }
}

fn proto(value: &Value) -> Proto {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => Kind::ListValue(ListValue { values: list.iter().map(proto).collect() }),
        Value::Object(map) => Kind::StructValue(structure(map)),
    };
    Proto { kind: Some(kind) }
}
