//! The calls on alerts.

use axum::{
    Extension,
    extract::{MatchedPath, RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use super::{
    alert_list, answer,
    bodies::{EscalateBody, FlagBody, UpdateBody},
    conditions::{Conditions, problem},
    json::Json,
    openapi::{
        AlertNotFound, BodyErrors, CallErrors, EscalationRefused, FlagRefused, IDEMPOTENCY, IF_MATCH,
        UpdateRefused,
    },
    path::Segment,
    problem::Problem,
    views::{AlertListView, AlertView, FlaggedView},
};
use crate::{auth::Caller, error::Error, service::Service};

/// The path of [`flag_entity`] below the path of alerts.
const FLAG: &str = "/flag/{id}";

/// Flag an entity
///
/// Makes an alert about a ledger object. Several alerts on one object are allowed on purpose; give repeats a `dedup_key` to
/// fold them into one.
/// Needs the scope `alerts:write`.
#[utoipa::path(
    post, path = "/alerts/flag/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The entity to flag: a balance, a transaction or an identity. Gives the alert its `type`.",
        max_length = 68, pattern = "^(bln|bal|txn|idt)_[A-Za-z0-9-]{1,64}$", example = "bln_20f02af6-3728-4d37-9b5a-c7ed080f09df"),
        ("Idempotency-Key" = Option<String>, Header, description = IDEMPOTENCY, max_length = 200, pattern = "^[!-~]*$")),
    request_body = FlagBody,
    responses(
        (status = 200, description = "The alert with the same `dedup_key` that the flag folded into, `deduplicated`.", body = FlaggedView,
            headers(("ETag" = String, description = "The alert's `version`."))),
        (status = 201, description = "The alert that was made, `version` 1.", body = FlaggedView,
            headers(("Location" = String, description = "The path of the alert, under the prefix that was called."),
                ("ETag" = String, description = "The alert's `version`."))),
        FlagRefused, CallErrors, BodyErrors,
    ),
)]
pub async fn flag_entity(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    matched: MatchedPath,
    Segment(id): Segment,
    conditions: Conditions,
    Json(body): Json<FlagBody>,
) -> Result<Response, Problem> {
    let flagged = service
        .flag_entity(&caller, body.into_input(id, conditions.without_versions()))
        .await
        .map_err(problem)?;
    let is_deduplicated = flagged.value.is_deduplicated;
    let status = if is_deduplicated { StatusCode::OK } else { StatusCode::CREATED };
    let location = location(&matched, &flagged.value.alert.id.to_string())?;
    let mut response = answer::changed_alert(status, flagged, FlaggedView::from)?;
    if !is_deduplicated {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Returns the path of an alert, under the prefix of the call's own path.
fn location(matched: &MatchedPath, anomaly_id: &str) -> Result<HeaderValue, Error> {
    let matched = matched.as_str();
    let alerts = matched.strip_suffix(FLAG).unwrap_or(matched);
    HeaderValue::try_from(format!("{alerts}/{anomaly_id}")).map_err(Error::internal)
}

/// Change an alert
///
/// Changes what the body gives and nothing else; `updated_at` and `version` move only when something changed. With nothing
/// but a note it writes that into the history.
/// Needs the scope `alerts:write`.
#[utoipa::path(
    put, path = "/alerts/flag/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id, `anomaly_id`.",
        pattern = "^ano_[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", example = "ano_019b8a38-0fd1-7289-86d1-bc76aa17a510"),
        ("If-Match" = Option<String>, Header, description = IF_MATCH, example = "\"3\""),
        ("Idempotency-Key" = Option<String>, Header, description = IDEMPOTENCY, max_length = 200, pattern = "^[!-~]*$")),
    request_body = UpdateBody,
    responses((status = 200, description = "The alert as stored.", body = AlertView,
        headers(("ETag" = String, description = "The alert's `version`."))),
        AlertNotFound, UpdateRefused, CallErrors, BodyErrors),
)]
pub async fn update_alert(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    conditions: Conditions,
    Json(body): Json<UpdateBody>,
) -> Result<Response, Problem> {
    let updated = service.update_alert(&caller, body.into_input(id, conditions)).await.map_err(problem)?;
    Ok(answer::changed_alert(StatusCode::OK, updated, |changed| AlertView::from(changed.alert))?)
}

/// Escalate an alert
///
/// Appends people to `escalated_to`, without duplicates, and assigns the alert to the first of them.
/// Needs the scope `alerts:write`.
#[utoipa::path(
    post, path = "/alerts/{alert_id}/escalate", tag = "alerts",
    params(("alert_id" = String, Path, description = "The alert's id, `anomaly_id`.",
        pattern = "^ano_[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", example = "ano_019b8a38-0fd1-7289-86d1-bc76aa17a510"),
        ("If-Match" = Option<String>, Header, description = IF_MATCH, example = "\"3\""),
        ("Idempotency-Key" = Option<String>, Header, description = IDEMPOTENCY, max_length = 200, pattern = "^[!-~]*$")),
    request_body = EscalateBody,
    responses((status = 200, description = "The alert as stored.", body = AlertView,
        headers(("ETag" = String, description = "The alert's `version`."))),
        AlertNotFound, EscalationRefused, CallErrors, BodyErrors),
)]
pub async fn escalate_alert(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    conditions: Conditions,
    Json(body): Json<EscalateBody>,
) -> Result<Response, Problem> {
    let escalated =
        service.escalate_alert(&caller, body.into_input(id, conditions)).await.map_err(problem)?;
    Ok(answer::changed_alert(StatusCode::OK, escalated, |changed| AlertView::from(changed.alert))?)
}

/// Read an alert
///
/// Needs the scope `alerts:read`.
#[utoipa::path(
    get, path = "/alerts/{alert_id}", tag = "alerts",
    params(("alert_id" = String, Path, description = "The alert's id, `anomaly_id`.",
        pattern = "^ano_[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", example = "ano_019b8a38-0fd1-7289-86d1-bc76aa17a510")),
    responses((status = 200, description = "The alert as stored.", body = AlertView,
        headers(("ETag" = String, description = "The alert's `version`."))), AlertNotFound, CallErrors),
)]
pub async fn get_alert(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let alert = service.alert(&caller, &id).await?;
    Ok(answer::alert(StatusCode::OK, answer::etag(&alert), &AlertView::from(alert))?)
}

/// List alerts
///
/// Reads the organization's alerts page by page, newest first unless told otherwise. An alert that stood when the first
/// page was read is seen exactly once, also while others are being made. Filters are combined with AND, the values of
/// one with OR. Any other parameter is an error.
/// Needs the scope `alerts:read`.
#[utoipa::path(
    get, path = "/alerts", tag = "alerts",
    params(alert_list::AlertListParameters),
    responses((status = 200, description = "One page of alerts.", body = AlertListView), CallErrors),
)]
pub async fn list_alerts(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let input = alert_list::input(query.as_deref().unwrap_or_default());
    let own = input.refused.len();
    let listed = service
        .list_alerts(&caller, input)
        .await
        .map_err(|error| error.rename_fields(own, alert_list::parameter_name))?;
    Ok(answer::json(StatusCode::OK, &AlertListView::from(listed))?)
}
