//! The scenario's calls over gRPC.

use redflag::grpc::pb::{
    AlertStatus, CreateAlertStatusRequest, DeleteAlertStatusRequest, GetAlertRequest, GetAuditHeadRequest,
    ListAlertEventsRequest, ListAlertStatusesRequest, ListEventsRequest, UpdateAlertStatusRequest,
    alert_service_client::AlertServiceClient, alert_status_service_client::AlertStatusServiceClient,
    audit_service_client::AuditServiceClient,
};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, transport::Channel};
use tonic_types::StatusExt;

use super::{
    face::{Call, Conditions, Face, failure, told},
    message::{
        escalate_request, flag_request, list_request, mask, page_size, status_class, text, update_request,
    },
    rest::PARAMETERS,
    view::{alert_view, event_view, status_view},
};
use crate::support::TestApp;

#[derive(Clone)]
pub struct Client {
    alerts: AlertServiceClient<Channel>,
    audit: AuditServiceClient<Channel>,
    statuses: AlertStatusServiceClient<Channel>,
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(app: &TestApp) -> Self {
        let http = reqwest::Client::new();
        let (alerts, audit, statuses) = (app.alerts(), app.audit(), app.statuses());
        Self { alerts, audit, statuses, http, url: app.url("") }
    }

    pub async fn call(&self, face: &Face, call: Call) -> Value {
        let (call, conditions) = call.without_conditions();
        let answer = match call {
            Call::Malformed => self.malformed(face).await,
            Call::CreateStatus(_) | Call::UpdateStatus(..) | Call::DeleteStatus(_) => {
                self.change_statuses(face, call, conditions.request_id.unwrap_or_default()).await
            }
            Call::Flag(..) | Call::Update(..) | Call::Escalate(..) => {
                self.change_alerts(face, call, conditions).await
            }
            other => self.read(face, other).await,
        };
        answer.unwrap_or_else(|status| problem(&status))
    }

    async fn change_alerts(&self, face: &Face, call: Call, conditions: Conditions) -> Result<Value, Status> {
        let mut client = self.alerts.clone();
        match call {
            Call::Flag(entity, body) => {
                let request = flag_request(entity, &body, conditions.request_id.unwrap_or_default());
                let answer = client.flag_entity(ask(face, request)).await?;
                Ok(changed(answer, |answer| {
                    let mut view = alert_view(&answer.alert.unwrap());
                    view["deduplicated"] = answer.deduplicated.into();
                    view
                }))
            }
            Call::Update(anomaly_id, body) => {
                let request = update_request(anomaly_id, &body, conditions);
                let answer = client.update_alert(ask(face, request)).await?;
                Ok(changed(answer, |answer| alert_view(&answer.alert.unwrap())))
            }
            Call::Escalate(anomaly_id, body) => {
                let request = escalate_request(anomaly_id, &body, conditions);
                let answer = client.escalate_alert(ask(face, request)).await?;
                Ok(changed(answer, |answer| alert_view(&answer.alert.unwrap())))
            }
            other => unreachable!("{other:?} changes no alert"),
        }
    }

    async fn read(&self, face: &Face, call: Call) -> Result<Value, Status> {
        match call {
            Call::Get(anomaly_id) => {
                let answer = self.alerts.clone().get_alert(ask(face, GetAlertRequest { anomaly_id })).await?;
                Ok(alert_view(&answer.into_inner().alert.unwrap()))
            }
            Call::List(filters) => self.list(face, &filters).await,
            Call::AlertEvents(anomaly_id, page) => {
                let (page_size, page_token) = (page_size(&page), text(&page, "page_token"));
                let request = ListAlertEventsRequest { anomaly_id, page_size, page_token };
                let page = self.alerts.clone().list_alert_events(ask(face, request)).await?.into_inner();
                Ok(list(page.events.iter().map(event_view), &page.next_page_token))
            }
            Call::Events(page) => {
                let (page_size, page_token) = (page_size(&page), text(&page, "page_token"));
                let after = page["after"].as_i64().unwrap_or_default();
                let request = ListEventsRequest { after, page_size, page_token };
                let page = self.audit.clone().list_events(ask(face, request)).await?.into_inner();
                Ok(list(page.events.iter().map(event_view), &page.next_page_token))
            }
            Call::Head => {
                let answer = self.audit.clone().get_audit_head(ask(face, GetAuditHeadRequest {})).await?;
                let head = answer.into_inner();
                let organization_id = head.organization_id;
                Ok(
                    json!({ "organization_id": organization_id, "position": head.position, "hash": head.hash }),
                )
            }
            Call::ListStatuses(page) => self.list_statuses(face, &page).await,
            other => unreachable!("{other:?} reads nothing"),
        }
    }

    async fn list(&self, face: &Face, filters: &Value) -> Result<Value, Status> {
        let page = self.alerts.clone().list_alerts(ask(face, list_request(filters))).await?.into_inner();
        let mut list = list(page.alerts.iter().map(alert_view), &page.next_page_token);
        if let Some(total) = page.total_size {
            list["total"] = total.into();
        }
        Ok(list)
    }

    async fn list_statuses(&self, face: &Face, page: &Value) -> Result<Value, Status> {
        let (page_size, page_token) = (page_size(page), text(page, "page_token"));
        let request = ListAlertStatusesRequest { page_size, page_token };
        let page = self.statuses.clone().list_alert_statuses(ask(face, request)).await?.into_inner();
        let mut list = list(page.alert_statuses.iter().map(status_view), &page.next_page_token);
        list["builtin"] = page.builtin.iter().map(status_view).collect();
        list["allowed_colours"] = page.allowed_colours.into();
        Ok(list)
    }

    async fn change_statuses(&self, face: &Face, call: Call, request_id: String) -> Result<Value, Status> {
        let mut client = self.statuses.clone();
        match call {
            Call::CreateStatus(body) => {
                let (name, colour, key) = (text(&body, "name"), text(&body, "colour"), text(&body, "key"));
                let class = body["class"].as_str().map_or(0, status_class);
                let request = CreateAlertStatusRequest { name, colour, key, class, request_id };
                let answer = client.create_alert_status(ask(face, request)).await?;
                Ok(changed(answer, |answer| status_view(&answer.alert_status.unwrap())))
            }
            Call::UpdateStatus(key, body) => {
                let (name, colour) = (text(&body, "name"), text(&body, "colour"));
                let status = AlertStatus { key, name, colour, ..Default::default() };
                let (alert_status, update_mask) = (Some(status), Some(mask(&body)));
                let request = UpdateAlertStatusRequest { alert_status, update_mask, request_id };
                let answer = client.update_alert_status(ask(face, request)).await?;
                Ok(changed(answer, |answer| status_view(&answer.alert_status.unwrap())))
            }
            Call::DeleteStatus(key) => {
                let request = DeleteAlertStatusRequest { key, request_id };
                let answer = client.delete_alert_status(ask(face, request)).await?;
                Ok(changed(answer, |_| json!({ "message": "Status deleted" })))
            }
            other => unreachable!("{other:?} changes no status"),
        }
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

/// What came of a change.
fn changed<T>(answer: Response<T>, view: impl FnOnce(T) -> Value) -> Value {
    let is_replayed = answer.metadata().get("idempotency-replayed").is_some_and(|value| value == "true");
    told(view(answer.into_inner()), is_replayed)
}

/// One page.
fn list(data: impl Iterator<Item = Value>, next_page_token: &str) -> Value {
    json!({ "data": data.collect::<Vec<_>>(), "next_page_token": next_page_token })
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
