//! How long a page takes, wherever it stands in its list.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use prost_types::Timestamp;
use redflag::grpc::pb::{Alert, ListAlertsRequest, SortOrder};

use super::filters::filters;
use crate::{
    callers::{Client, PAGE_SIZE},
    load::{Latency, histogram},
    process::Server,
};

/// How many pages of walking there are at most: as deep as page tokens are followed.
const MOST_STEPS: u32 = 400;
/// How many alerts a step of walking passes.
const STEP: i32 = 1_000;
/// How long one page is read again and again.
const SPAN: Duration = Duration::from_secs(1);

/// How long pages take.
pub struct Pages {
    /// Of each filter.
    pub filters: Vec<FilterPages>,
    /// Of the list without filter: how many alerts stand before the page, and how long it takes.
    pub depths: Vec<(u32, Latency)>,
}

/// How long the pages of one list take.
pub struct FilterPages {
    pub name: &'static str,
    pub first: Latency,
    pub deepest: Latency,
}

/// Reads pages of every list, one at a time.
pub async fn measure(server: &Server) -> anyhow::Result<Pages> {
    let mut client = Client::connect(&server.url).await?;
    let all = ListAlertsRequest { page_size: PAGE_SIZE, ..ListAlertsRequest::default() };
    let newest = made(&mut client, &all, SortOrder::Desc).await?;
    let oldest = made(&mut client, &all, SortOrder::Asc).await?;
    let mut pages = Pages { filters: Vec::new(), depths: walk(&mut client, &all).await? };
    for filter in filters(oldest, newest) {
        let first = read(&mut client, &filter.request).await?;
        let deepest = deepest(&mut client, &filter.request).await?;
        let deepest = read(&mut client, &deepest).await?;
        pages.filters.push(FilterPages { name: filter.name, first, deepest });
    }
    Ok(pages)
}

/// Follows page tokens, and looks at pages of the usual size at some depths on the way.
async fn walk(client: &mut Client, all: &ListAlertsRequest) -> anyhow::Result<Vec<(u32, Latency)>> {
    let mut depths = vec![(PAGE_SIZE.cast_unsigned(), read(client, &second(client, all).await?).await?)];
    let mut token = String::new();
    for step in 1..=MOST_STEPS {
        let request = ListAlertsRequest { page_size: STEP, page_token: token, ..all.clone() };
        (_, token) = client.list(request).await?;
        if token.is_empty() {
            break;
        }
        if step.is_power_of_two() || step == MOST_STEPS {
            let here = ListAlertsRequest { page_token: token.clone(), ..all.clone() };
            depths.push((step * STEP.cast_unsigned(), read(client, &here).await?));
        }
    }
    Ok(depths)
}

async fn second(client: &Client, all: &ListAlertsRequest) -> anyhow::Result<ListAlertsRequest> {
    let (_, page_token) = client.clone().list(all.clone()).await?;
    Ok(ListAlertsRequest { page_token, ..all.clone() })
}

/// When the first alert of a list was made.
async fn made(client: &mut Client, all: &ListAlertsRequest, order: SortOrder) -> anyhow::Result<Timestamp> {
    let (alerts, _) = client.list(ListAlertsRequest { order: order.into(), ..all.clone() }).await?;
    alerts.first().and_then(|alert| alert.created_at).context("there are no alerts")
}

/// Asks for the last full page of a list: what is older than the oldest but as many as a page holds. Reading it does what
/// reading on with a token does, without walking there.
async fn deepest(client: &mut Client, list: &ListAlertsRequest) -> anyhow::Result<ListAlertsRequest> {
    let size = PAGE_SIZE + 1;
    let (alerts, _) = client
        .list(ListAlertsRequest { order: SortOrder::Asc.into(), page_size: size, ..list.clone() })
        .await?;
    ensure!(i32::try_from(alerts.len()) == Ok(size), "the list {list:?} is too short");
    Ok(ListAlertsRequest { created_before: alerts.last().and_then(|alert| alert.created_at), ..list.clone() })
}

/// Reads the same page for a while, and checks it each time.
async fn read(client: &mut Client, request: &ListAlertsRequest) -> anyhow::Result<Latency> {
    let mut latency: Histogram<u64> = histogram();
    let end = Instant::now() + SPAN;
    // The first reading is to have the page in memory, as a page is that people look at.
    client.list(request.clone()).await?;
    while Instant::now() < end {
        let begun = Instant::now();
        let (alerts, _) = client.list(request.clone()).await?;
        latency.saturating_record(u64::try_from(begun.elapsed().as_micros())?);
        let key = |alert: &Alert| alert.created_at.map(|at| (at.seconds, at.nanos));
        let is_full = i32::try_from(alerts.len()) == Ok(PAGE_SIZE);
        let is_in_order = alerts.is_sorted_by(|newer, older| key(newer) >= key(older));
        ensure!(is_full && is_in_order, "{request:?} answered {} alerts", alerts.len());
    }
    Ok(Latency::of(&latency))
}
