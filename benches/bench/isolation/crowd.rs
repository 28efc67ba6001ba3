//! The load of the other organization, until it is told to end.

use std::fmt;

use redflag::grpc::pb::{Alert, FlagEntityRequest, ListAlertsRequest, UpdateAlertRequest};
use tokio::task::JoinSet;

use super::Place;
use crate::{
    callers::{Client, Flag},
    ids::Random,
    load::{Caller as _, each},
};

/// The idempotency key that somebody else holds.
pub const KEY_IN_USE: &str = "in-use";

/// The call that each caller of a crowd repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Reads pages of 1,000 alerts.
    Lists,
    /// Makes plain flags.
    Flags,
    /// Makes flags of the largest size.
    LargestFlags,
    /// Makes flags and changes alerts in turns.
    FlagsAndUpdates,
    /// Makes flags under the same idempotency key, [`KEY_IN_USE`].
    FlagsUnderOneKey,
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lists => "lists of 1,000",
            Self::Flags => "plain flags in flight",
            Self::LargestFlags => "of the largest flags",
            Self::FlagsAndUpdates => "flags and updates",
            Self::FlagsUnderOneKey => "flags under one idempotency key",
        })
    }
}

/// Callers that call until they are told to end.
pub struct Crowd(JoinSet<()>);

impl Crowd {
    /// So many callers of the noisy organization.
    pub async fn start(place: &Place, noise: Noise, in_flight: usize) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..in_flight.div_ceil(100) {
            connections.push(place.client(&place.noisy).await?);
        }
        let (mut random, mut callers) = (Random::new()?, JoinSet::new());
        for client in connections.iter().cycle().take(in_flight) {
            callers.spawn(call(client.clone(), random.fork(), noise));
        }
        Ok(Self(callers))
    }

    /// Ends all of them.
    pub async fn end(mut self) {
        self.0.shutdown().await;
    }
}

async fn call(mut client: Client, mut random: Random, noise: Noise) {
    for turn in 0_u64.. {
        let done = match noise {
            Noise::Lists => client.list(pages()).await.map(drop),
            Noise::Flags => client.flag(plain(&mut random)).await.map(drop),
            Noise::LargestFlags => client.flag(largest(&mut random)).await.map(drop),
            Noise::FlagsAndUpdates if turn % 2 == 0 => client.flag(plain(&mut random)).await.map(drop),
            Noise::FlagsAndUpdates => change_one(&mut client, &mut random).await,
            Noise::FlagsUnderOneKey => client.flag(under_one_key(&mut random)).await.map(drop),
        };
        if done.is_err() {
            // Refused: as a client should, it does not come back at once.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

fn pages() -> ListAlertsRequest {
    ListAlertsRequest { page_size: 1_000, ..ListAlertsRequest::default() }
}

fn plain(random: &mut Random) -> FlagEntityRequest {
    let description = crate::callers::DESCRIPTION.to_owned();
    FlagEntityRequest { entity_id: random.balance_id(), description, ..FlagEntityRequest::default() }
}

fn under_one_key(random: &mut Random) -> FlagEntityRequest {
    FlagEntityRequest { request_id: KEY_IN_USE.to_owned(), ..plain(random) }
}

/// About what a flag may hold at most.
fn largest(random: &mut Random) -> FlagEntityRequest {
    let people = (0..50).map(|number| format!("{number:03}{}", "é".repeat(197)));
    let metadata = serde_json::json!({ "notes": "é".repeat(8_000) });
    let metadata = metadata.as_object().cloned().unwrap_or_default();
    FlagEntityRequest {
        entity_id: random.balance_id(),
        additional_entity_ids: (0..99).map(|_| random.balance_id()).collect(),
        title: "é".repeat(200),
        description: "é".repeat(10_000),
        note: "é".repeat(10_000),
        escalated_to: people.collect(),
        metadata: Some(redflag::grpc::struct_from_json(&metadata)),
        ..FlagEntityRequest::default()
    }
}

async fn change_one(client: &mut Client, random: &mut Random) -> anyhow::Result<()> {
    let page = ListAlertsRequest { page_size: 1, ..ListAlertsRequest::default() };
    let (alerts, _) = client.list(page).await?;
    let Some(alert) = alerts.into_iter().next() else { return Ok(()) };
    let title = format!("{:016x}", random.next());
    let alert = Alert { anomaly_id: alert.anomaly_id, title, ..Alert::default() };
    client.update(UpdateAlertRequest { alert: Some(alert), ..UpdateAlertRequest::default() }).await
}

/// Flags so many alerts of the client's organization.
pub async fn fill(client: Client, alerts: usize) -> anyhow::Result<()> {
    const CALLERS: usize = 64;
    let mut random = Random::new()?;
    let callers = (0..CALLERS).map(|_| Flag::new(client.clone(), random.fork())).collect();
    each(callers, alerts.div_ceil(CALLERS)).await?;
    // One that is not there yet would be measured as well.
    Flag::new(client, random).call().await
}
