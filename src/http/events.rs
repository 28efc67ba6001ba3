//! The calls on the history.

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use utoipa::IntoParams;

use super::{
    answer,
    event_views::{EventListView, HeadView},
    openapi::{AlertNotFound, CallErrors},
    path::Segment,
    problem::Problem,
    query_string::{Parameters, whole_number},
};
use crate::{
    auth::Caller,
    service::{AlertEventsInput, EventsInput, Service},
};

/// The parameters of a page, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the parameters")]
pub struct EventPageParameters {
    /// How many events a page holds at most. 0 is read as the default 50, more than 1,000 as 1,000. A page can hold fewer
    /// although more follow, so that it stays below 4 MiB: only `next_page_token` tells the end.
    #[param(nullable = false, minimum = 0, default = 50)]
    page_size: Option<usize>,
    /// The `next_page_token` of the page before, given with the same parameters. Empty: the first page.
    #[param(nullable = false, pattern = "^[A-Za-z0-9_-]*$")]
    page_token: Option<String>,
}

/// The parameter of the feed, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the parameter")]
pub struct FeedParameters {
    /// Only events after this position. Default 0: from the first.
    #[param(nullable = false, minimum = 0, default = 0)]
    after: Option<usize>,
}

/// Read an alert's history
///
/// Reads the events of one alert page by page, oldest first. Needs the scope `alerts:read`.
#[utoipa::path(
    get, path = "/alerts/{alert_id}/events", tag = "history",
    params(("alert_id" = String, Path, description = "The alert's id, `anomaly_id`.",
        pattern = "^ano_[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", example = "ano_019b8a38-0fd1-7289-86d1-bc76aa17a510"),
        EventPageParameters),
    responses((status = 200, description = "One page of events.", body = EventListView), AlertNotFound, CallErrors),
)]
pub async fn list_alert_events(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Segment(anomaly_id): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters =
        Parameters::parse(query.as_deref().unwrap_or_default(), &["page_size", "page_token"]);
    let input = AlertEventsInput {
        anomaly_id,
        page_size: parameters.value("page_size", whole_number),
        page_token: parameters.text("page_token").unwrap_or_default(),
        refused: parameters.into_refused(),
    };
    let page = service.alert_events(&caller, input).await?;
    Ok(answer::json(StatusCode::OK, &EventListView::from(page))?)
}

/// Read the feed
///
/// Reads all events of the organization page by page, in the order of their positions. Whoever remembers the position of
/// the last event that was read, and asks for those after it, misses none and sees none twice.
/// Needs the scope `alerts:read`.
#[utoipa::path(
    get, path = "/events", tag = "history",
    params(FeedParameters, EventPageParameters),
    responses((status = 200, description = "One page of events.", body = EventListView), CallErrors),
)]
pub async fn list_events(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let known = ["after", "page_size", "page_token"];
    let mut parameters = Parameters::parse(query.as_deref().unwrap_or_default(), &known);
    let input = EventsInput {
        after: parameters.value("after", whole_number),
        page_size: parameters.value("page_size", whole_number),
        page_token: parameters.text("page_token").unwrap_or_default(),
        refused: parameters.into_refused(),
    };
    let page = service.events(&caller, input).await?;
    Ok(answer::json(StatusCode::OK, &EventListView::from(page))?)
}

/// Read the end of the feed
///
/// Kept elsewhere, it proves later that nothing before it was changed. Needs the scope `alerts:read`.
#[utoipa::path(
    get, path = "/audit/head", tag = "history",
    responses((status = 200, description = "Where the feed ends.", body = HeadView), CallErrors),
)]
pub async fn get_audit_head(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let head = service.head(&caller).await?;
    Ok(answer::json(StatusCode::OK, &HeadView::new(caller.organization_id(), head))?)
}
