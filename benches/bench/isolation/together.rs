//! Rates with and without somebody else: beside a deduplication key that changes hands, and of two instances instead of one.

use std::time::{Duration, Instant};

use redflag::grpc::pb::{Alert, FlagEntityRequest, UpdateAlertRequest};
use sqlx::Connection as _;
use tokio::task::JoinSet;

use super::{NAME, Place, tenants};
use crate::{
    callers::{Client, Flag},
    database::Postgres,
    ids::Random,
    load::{Times, closed_loop},
    options::Options,
    process::Server,
};

/// How many callers flag.
const CALLERS: usize = 64;
/// How many organizations two instances write to.
const ORGANIZATIONS: usize = 128;

/// Flags of the quiet organization, beside eight clients of the noisy one between whose alerts a deduplication key changes hands.
pub async fn swaps(place: &Place, options: &Options) -> anyhow::Result<[String; 4]> {
    let without = rate(&place.server.url, std::slice::from_ref(&place.quiet), options).await?;
    let mut swapping = JoinSet::new();
    for number in 0..8 {
        let client = place.client(&place.noisy).await?;
        swapping.spawn(swap(client, format!("swap-{number}")));
    }
    let with = rate(&place.server.url, std::slice::from_ref(&place.quiet), options).await?;
    swapping.shutdown().await;
    let name = format!("{}: {CALLERS} callers beside 8 deduplication keys that change hands", place.store);
    Ok([name, format!("{with:.0}/s"), format!("{without:.0}/s"), format!("{:.2}; 0.6", with / without)])
}

async fn swap(mut client: Client, key: String) -> anyhow::Result<()> {
    let flag = || FlagEntityRequest {
        entity_id: "bln_1".to_owned(),
        description: "One of two.".to_owned(),
        dedup_key: key.clone(),
        ..FlagEntityRequest::default()
    };
    let closed = client.flag(flag()).await?;
    move_to(client.clone(), closed.clone(), "RESOLVED").await?;
    let open = client.flag(flag()).await?;
    let mut pair = (open, closed);
    loop {
        let (open, closed) = pair;
        let moved = tokio::join!(
            move_to(client.clone(), open.clone(), "RESOLVED"),
            move_to(client.clone(), closed.clone(), "FLAGGED")
        );
        // The second may have come first, and is refused then.
        pair = if moved.1.is_ok() { (closed, open) } else { (open, closed) };
        if moved.0.is_ok() && moved.1.is_err() {
            move_to(client.clone(), pair.0.clone(), "FLAGGED").await?;
        }
    }
}

async fn move_to(mut client: Client, anomaly_id: String, status: &str) -> anyhow::Result<()> {
    let alert = Alert { anomaly_id, status: status.to_owned(), ..Alert::default() };
    client.update(UpdateAlertRequest { alert: Some(alert), ..UpdateAlertRequest::default() }).await
}

/// Flags of many organizations: by one instance, and by two that share them.
pub async fn instances(postgres: &Postgres, options: &Options) -> anyhow::Result<[String; 4]> {
    let url = postgres.url(NAME);
    let first = Server::redflag(&url)?;
    let keys = (0..ORGANIZATIONS).map(|number| tenants::make(&url, &format!("organization-{number}")));
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    let one = rate(&first.url, &keys, options).await?;
    let second = Server::redflag(&url)?;
    let (left, right) = tokio::join!(rate(&first.url, &keys, options), rate(&second.url, &keys, options));
    let (left, right) = (left?, right?);
    let name = format!("PostgreSQL: two instances on the same {ORGANIZATIONS} organizations, one alone");
    let both = left + right;
    Ok([name, format!("{left:.0} + {right:.0}/s"), format!("{one:.0}/s"), format!("{:.2}; 0.8", both / one)])
}

/// Flags of four callers, before and while somebody holds a snapshot of the database, as a dump does.
pub async fn snapshot(postgres: &Postgres, options: &Options) -> anyhow::Result<[String; 4]> {
    const CALLERS: usize = 4;
    let url = postgres.url(NAME);
    let server = Server::redflag(&url)?;
    let key = [tenants::make(&url, "dumped")?];
    let without = rate_of(CALLERS, &server.url, &key, options).await?;
    let held =
        super::hold(&url, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM alerts LIMIT 1")
            .await?;
    let since = Instant::now();
    let span = if options.quick { Duration::from_secs(3) } else { Duration::from_mins(1) };
    let with = loop {
        let rate = rate_of(CALLERS, &server.url, &key, options).await?;
        if since.elapsed() >= span {
            break rate;
        }
    };
    held.close().await?;
    let name = format!("PostgreSQL: {CALLERS} callers, a snapshot held for {} s", since.elapsed().as_secs());
    Ok([name, format!("{with:.0}/s"), format!("{without:.0}/s"), format!("{:.2}", with / without)])
}

/// How many flags a second callers with these keys make, at least [`CALLERS`] of them.
async fn rate(url: &str, keys: &[String], options: &Options) -> anyhow::Result<f64> {
    rate_of(CALLERS.max(keys.len()), url, keys, options).await
}

async fn rate_of(count: usize, url: &str, keys: &[String], options: &Options) -> anyhow::Result<f64> {
    let mut random = Random::new()?;
    let mut clients = Vec::new();
    for key in keys {
        clients.push(Client::connect_with(url, key).await?);
    }
    let callers = clients.iter().cycle().take(count).map(|client| Flag::new(client.clone(), random.fork()));
    let times = Times { warm_up: options.warm_up(), span: options.span() };
    let load = closed_loop(callers.collect(), times).await;
    Ok(load
        .inspect_err(|error| eprintln!("a call failed: {error:#}"))
        .map_or(f64::NAN, |load| load.per_second))
}
