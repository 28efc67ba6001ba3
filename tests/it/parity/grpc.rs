//! The scenario's calls over gRPC.

use prost_types::FieldMask;
use redflag::grpc::pb::{
    AlertStatus, CreateAlertStatusRequest, DeleteAlertStatusRequest, GetAlertRequest,
    ListAlertStatusesRequest, UpdateAlertRequest, UpdateAlertStatusRequest,
    alert_service_client::AlertServiceClient, alert_status_service_client::AlertStatusServiceClient,
};
use serde_json::{Value, json};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt;

use super::{
    face::{Call, Face, failure},
    message::{alert, flag_request, list_request, status_class, text},
    rest::PARAMETERS,
    view::{alert_view, status_view},
};
use crate::support::TestApp;

#[derive(Clone)]
pub struct Client {
    alerts: AlertServiceClient<Channel>,
    statuses: AlertStatusServiceClient<Channel>,
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(app: &TestApp) -> Self {
        Self {
            alerts: app.alerts(),
            statuses: app.statuses(),
            http: reqwest::Client::new(),
            url: app.url(""),
        }
    }

    pub async fn call(&self, face: &Face, call: Call) -> Value {
        let answer = match call {
            Call::Malformed => self.malformed(face).await,
            Call::CreateStatus(_)
            | Call::ListStatuses(_)
            | Call::UpdateStatus(..)
            | Call::DeleteStatus(_) => self.call_on_statuses(face, call).await,
            other => self.call_on_alerts(face, other).await,
        };
        answer.unwrap_or_else(|status| problem(&status))
    }

    async fn call_on_alerts(&self, face: &Face, call: Call) -> Result<Value, Status> {
        let mut client = self.alerts.clone();
        let alert = match call {
            Call::Flag(entity, body) => {
                client.flag_entity(ask(face, flag_request(entity, &body))).await?.into_inner().alert
            }
            Call::Update(anomaly_id, body) => {
                let request = UpdateAlertRequest {
                    alert: Some(alert(anomaly_id, &body)),
                    update_mask: Some(mask(&body)),
                };
                client.update_alert(ask(face, request)).await?.into_inner().alert
            }
            Call::Get(anomaly_id) => {
                client.get_alert(ask(face, GetAlertRequest { anomaly_id })).await?.into_inner().alert
            }
            Call::List(filters) => {
                let page = client.list_alerts(ask(face, list_request(&filters))).await?.into_inner();
                let data: Vec<_> = page.alerts.iter().map(alert_view).collect();
                let mut list = json!({ "data": data, "next_page_token": page.next_page_token });
                if let Some(total) = page.total_size {
                    list["total"] = total.into();
                }
                return Ok(list);
            }
            other => unreachable!("{other:?} is no call on alerts"),
        };
        Ok(alert_view(&alert.unwrap()))
    }

    async fn call_on_statuses(&self, face: &Face, call: Call) -> Result<Value, Status> {
        let mut client = self.statuses.clone();
        let status = match call {
            Call::CreateStatus(body) => {
                let (name, colour, key) = (text(&body, "name"), text(&body, "colour"), text(&body, "key"));
                let class = body["class"].as_str().map_or(0, status_class);
                let request = CreateAlertStatusRequest { name, colour, key, class };
                client.create_alert_status(ask(face, request)).await?.into_inner().alert_status
            }
            Call::UpdateStatus(key, body) => {
                let (name, colour) = (text(&body, "name"), text(&body, "colour"));
                let status = AlertStatus { key, name, colour, ..Default::default() };
                let request =
                    UpdateAlertStatusRequest { alert_status: Some(status), update_mask: Some(mask(&body)) };
                client.update_alert_status(ask(face, request)).await?.into_inner().alert_status
            }
            Call::DeleteStatus(key) => {
                client.delete_alert_status(ask(face, DeleteAlertStatusRequest { key })).await?;
                return Ok(json!({ "message": "Status deleted" }));
            }
            Call::ListStatuses(page) => {
                let page_size = page["page_size"].as_i64().map_or(0, |size| i32::try_from(size).unwrap());
                let request = ListAlertStatusesRequest { page_size, page_token: text(&page, "page_token") };
                let page = client.list_alert_statuses(ask(face, request)).await?.into_inner();
                return Ok(json!({
                    "data": page.alert_statuses.iter().map(status_view).collect::<Vec<_>>(),
                    "builtin": page.builtin.iter().map(status_view).collect::<Vec<_>>(),
                    "allowed_colours": page.allowed_colours,
                    "next_page_token": page.next_page_token,
                }));
            }
            other => unreachable!("{other:?} is no call on statuses"),
        };
        Ok(status_view(&status.unwrap()))
    }

    /// Past the client library, which sends only messages.
    async fn malformed(&self, face: &Face) -> Result<Value, Status> {
        let bytes = [[0, 0, 0, 0, 40].as_slice(), &[0xff; 40]].concat();
        let request = self.http.post(format!("{}/redflag.v1.AlertService/FlagEntity", self.url));
        let request = request
            .header("content-type", "application/grpc-web+proto")
            .bearer_auth(face.key.as_ref().unwrap());
        let response = request.body(bytes).send().await.unwrap();
        Err(Status::from_header_map(response.headers()).expect("the call fails at once"))
    }
}

/// The request as `face` sends it.
fn ask<T>(face: &Face, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = face.key.as_ref().map(|key| ("authorization", format!("Bearer {key}")));
    let actor = face.actor.clone().map(|actor| ("x-redflag-actor", actor));
    for (name, value) in key.into_iter().chain(actor) {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// A mask that names what the body gives.
fn mask(body: &Value) -> FieldMask {
    FieldMask { paths: body.as_object().unwrap().keys().cloned().collect() }
}

fn problem(status: &Status) -> Value {
    let told = status.get_error_details();
    let info = told.error_info().unwrap_or_else(|| panic!("{status:?} has no reason"));
    let fields = told.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let fields = fields.into_iter().map(|violation| {
        let parameter = PARAMETERS.iter().find(|(filter, _)| *filter == violation.field);
        parameter.map_or(violation.field, |(_, parameter)| (*parameter).to_owned())
    });
    failure(&info.reason, fields.collect(), &info.metadata.clone().into_iter().collect())
}
