//! The calls on statuses.

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use utoipa::IntoParams;

use super::{
    answer,
    bodies::{NewStatusBody, StatusBody},
    conditions::{Conditions, problem},
    json::Json,
    openapi::{
        BodyErrors, BuiltinStatus, CallErrors, DuplicateKey, IDEMPOTENCY, StatusInUse, StatusNotFound,
    },
    path::Segment,
    problem::Problem,
    query_string::{Parameters, whole_number},
    views::{DeletedView, StatusListView, StatusView},
};
use crate::{
    auth::Caller,
    service::{ListStatusesInput, Service},
};

/// Add a status
///
/// Needs the scope `statuses:write`.
#[utoipa::path(
    post, path = "/alerts/statuses", tag = "statuses",
    params(("Idempotency-Key" = Option<String>, Header, description = IDEMPOTENCY, max_length = 200, pattern = "^[!-~]*$")),
    request_body = NewStatusBody,
    responses(
        (status = 201, description = "The status that was added.", body = StatusView),
        DuplicateKey, CallErrors, BodyErrors,
    ),
)]
pub async fn create_status(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    conditions: Conditions,
    Json(body): Json<NewStatusBody>,
) -> Result<Response, Problem> {
    let created = service.create_status(&caller, body.into_input(conditions)).await.map_err(problem)?;
    Ok(answer::changed(StatusCode::CREATED, created, StatusView::from)?)
}

/// The parameters for the OpenAPI document; [`list_input`] reads the same.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the parameters")]
pub struct StatusListParameters {
    /// How many custom statuses a page holds at most. 0 is read as the default 1,000, and so is more.
    #[param(nullable = false, minimum = 0, default = 1000)]
    page_size: Option<usize>,
    /// The `next_page_token` of the page before. Empty: the first page.
    #[param(nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    page_token: Option<String>,
}

/// List statuses
///
/// Reads the organization's own statuses page by page, in the order of their keys, and the built-in ones.
/// Needs the scope `alerts:read`.
#[utoipa::path(
    get, path = "/alerts/statuses", tag = "statuses",
    params(StatusListParameters),
    responses((status = 200, description = "One page of statuses.", body = StatusListView), CallErrors),
)]
pub async fn list_statuses(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let input = list_input(query.as_deref().unwrap_or_default());
    let listed = service.list_statuses(&caller, input).await?;
    Ok(answer::json(StatusCode::OK, &StatusListView::from(listed))?)
}

fn list_input(query: &str) -> ListStatusesInput {
    let mut parameters = Parameters::parse(query, &["page_size", "page_token"]);
    ListStatusesInput {
        page_size: parameters.value("page_size", whole_number),
        page_token: parameters.text("page_token").unwrap_or_default(),
        refused: parameters.into_refused(),
    }
}

/// Change a status
///
/// Gives a status another name and colour. Built-in ones can't be changed.
/// Needs the scope `statuses:write`.
#[utoipa::path(
    put, path = "/alerts/statuses/{key}", tag = "statuses",
    params(("key" = String, Path, description = "The status's key, in any case.", max_length = 64,
        pattern = "^[A-Za-z0-9_]+$", example = "PENDING_REVIEW"),
        ("Idempotency-Key" = Option<String>, Header, description = IDEMPOTENCY, max_length = 200, pattern = "^[!-~]*$")),
    request_body = StatusBody,
    responses(
        (status = 200, description = "The status as stored.", body = StatusView),
        StatusNotFound, BuiltinStatus, CallErrors, BodyErrors,
    ),
)]
pub async fn update_status(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Segment(key): Segment,
    conditions: Conditions,
    Json(body): Json<StatusBody>,
) -> Result<Response, Problem> {
    let updated = service.update_status(&caller, body.into_input(key, conditions)).await.map_err(problem)?;
    Ok(answer::changed(StatusCode::OK, updated, StatusView::from)?)
}

/// Delete a status
///
/// Deletes a status that no alert uses, closed alerts included. Built-in ones can't be deleted.
/// Needs the scope `statuses:write`.
#[utoipa::path(
    delete, path = "/alerts/statuses/{key}", tag = "statuses",
    params(("key" = String, Path, description = "The status's key, in any case.", max_length = 64,
        pattern = "^[A-Za-z0-9_]+$", example = "PENDING_REVIEW"),
        ("Idempotency-Key" = Option<String>, Header, description = IDEMPOTENCY, max_length = 200, pattern = "^[!-~]*$")),
    responses(
        (status = 200, description = "The status is gone.", body = DeletedView),
        StatusNotFound, StatusInUse, CallErrors,
    ),
)]
pub async fn delete_status(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Segment(key): Segment,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let idempotency_key = conditions.into_idempotency_key();
    let deleted = service.delete_status(&caller, &key, idempotency_key.as_deref()).await.map_err(problem)?;
    Ok(answer::changed(StatusCode::OK, deleted, |()| DeletedView { message: "Status deleted" })?)
}
