//! Many organizations that are locked, and what others notice that wait for locks of their own: one that two instances write to,
//! and one whose statuses change.

use anyhow::Context as _;
use redflag::grpc::pb::{
    CreateAlertStatusRequest, StatusClass, alert_status_service_client::AlertStatusServiceClient,
};
use sqlx::Connection as _;
use tokio::task::JoinSet;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{Place, hold, tenants};
use crate::{
    callers::{Client, Flag},
    ids::Random,
    load::{Caller, Latency, Times, closed_loop},
    options::Options,
    process::Server,
};

/// How many organizations are locked.
const LOCKED: usize = 20;

/// The latencies of both, beside the locked organizations and without them.
pub async fn many(place: &Place, options: &Options) -> anyhow::Result<[[String; 4]; 2]> {
    let second = Server::redflag(&place.url)?;
    let without = both(place, &second, options).await?;
    let keys = (0..LOCKED).map(|number| tenants::make(&place.url, &format!("locked-{number}")));
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    let lock = "SELECT 1 FROM alert_statuses WHERE organization_id IN (SELECT organization_id FROM organizations \
                WHERE name LIKE 'locked-%') FOR UPDATE";
    let locked = hold(&place.url, lock).await?;
    let mut waiting = JoinSet::new();
    for key in &keys {
        let mut caller = Flag::new(place.client(key).await?, Random::new()?);
        waiting.spawn(async move {
            // Until the lock is gone, or the call's time is up.
            while caller.call().await.is_err() {}
        });
    }
    let with = both(place, &second, options).await?;
    waiting.shutdown().await;
    locked.close().await?;
    let what = ["a flag of an organization that two instances write to", "a change of another's statuses"];
    Ok([0, 1].map(|one| row(what[one], with[one], without[one])))
}

async fn both(place: &Place, second: &Server, options: &Options) -> anyhow::Result<[Latency; 2]> {
    let mut random = Random::new()?;
    let mut flags = Vec::new();
    for url in [&place.server.url, &second.url] {
        let client = Client::connect_with(url, &place.quiet).await?;
        flags.extend([(); 2].map(|()| Flag::new(client.clone(), random.fork())));
    }
    let statuses = vec![Statuses::connect(&place.server.url, &place.noisy, random).await?];
    let times = Times { warm_up: options.warm_up(), span: options.span() };
    let (flags, statuses) = tokio::join!(closed_loop(flags, times), closed_loop(statuses, times));
    let latency = |latency: Option<Latency>| latency.context("nothing was answered");
    Ok([latency(flags?.latency)?, latency(statuses?.latency)?])
}

fn row(what: &str, with: Latency, without: Latency) -> [String; 4] {
    let millis = |latency: Latency| format!("{:.1} ms", latency.p99);
    let name = format!("PostgreSQL: p99 of {what}, beside {LOCKED} organizations that are locked");
    [name, millis(with), millis(without), format!("{:.1}; 5", with.p99 / without.p99)]
}

/// Adds statuses to an organization.
struct Statuses {
    service: AlertStatusServiceClient<Channel>,
    key: MetadataValue<Ascii>,
    random: Random,
}

impl Statuses {
    async fn connect(url: &str, key: &str, random: Random) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        let key = MetadataValue::try_from(format!("Bearer {key}"))?;
        Ok(Self { service: AlertStatusServiceClient::new(channel), key, random })
    }
}

impl Caller for Statuses {
    async fn call(&mut self) -> anyhow::Result<()> {
        let mut request = Request::new(CreateAlertStatusRequest {
            name: format!("S {:016X}", self.random.next()),
            colour: "#3B82F6".to_owned(),
            class: StatusClass::InProgress.into(),
            ..CreateAlertStatusRequest::default()
        });
        request.metadata_mut().insert("authorization", self.key.clone());
        self.service.create_alert_status(request).await?;
        Ok(())
    }
}
