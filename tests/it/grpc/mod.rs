//! The gRPC face, through real connections.

mod authorization;
mod calls;
mod decisions;
mod errors;
mod history;
mod idempotency;
mod standard_services;
mod web;

use prost::Message;
use redflag::grpc::pb::{
    Alert, AlertStatus, CreateAlertStatusRequest, FlagEntityRequest, ListAlertsRequest, UpdateAlertRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{TestApp, keyed};

/// Makes a flag with only the required fields.
fn flag(entity_id: &str) -> FlagEntityRequest {
    FlagEntityRequest {
        entity_id: entity_id.to_owned(),
        description: "Something is off.".to_owned(),
        ..Default::default()
    }
}

/// Flags an entity.
async fn flagged(app: &TestApp, request: FlagEntityRequest) -> Alert {
    app.alerts().flag_entity(keyed(request)).await.unwrap().into_inner().alert.unwrap()
}

/// Changes the fields of an alert that `paths` name.
async fn update(app: &TestApp, alert: Alert, paths: &[&str]) -> Result<Alert, Status> {
    let paths = paths.iter().map(ToString::to_string).collect();
    let request = UpdateAlertRequest {
        alert: Some(alert),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    Ok(app.alerts().update_alert(keyed(request)).await?.into_inner().alert.unwrap())
}

/// Adds a status.
async fn create_status(app: &TestApp, name: &str) -> AlertStatus {
    let request = CreateAlertStatusRequest {
        name: name.to_owned(),
        colour: "#3b82f6".to_owned(),
        ..Default::default()
    };
    let made = app.statuses().create_alert_status(keyed(request)).await.unwrap();
    made.into_inner().alert_status.unwrap()
}

/// The ids that a list answers, in order, and the token of the next page.
async fn listed(app: &TestApp, request: ListAlertsRequest) -> (Vec<String>, String) {
    let page = app.alerts().list_alerts(keyed(request)).await.unwrap().into_inner();
    (page.alerts.into_iter().map(|alert| alert.anomaly_id).collect(), page.next_page_token)
}

/// The reason of an error, checked for our domain.
fn reason(status: &Status) -> String {
    let info = status.get_error_details().error_info().cloned();
    let info = info.unwrap_or_else(|| panic!("{status:?} has no reason"));
    assert_eq!(info.domain, "redflag.dev");
    info.reason
}

/// The code and the reason of an error.
fn code_and_reason(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

/// A message as its bytes on the wire, with the five bytes that precede each.
fn framed(message: &impl Message) -> Vec<u8> {
    framed_bytes(&message.encode_to_vec())
}

fn framed_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), bytes].concat()
}

/// The fields at fault.
fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations.iter().map(|violation| violation.field.clone()).collect()
}
