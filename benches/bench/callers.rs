//! The gRPC calls that are measured, each with its check of the answer.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use prost_types::FieldMask;
use redflag::grpc::pb::{
    Alert, FlagEntityRequest, GetAlertRequest, ListAlertsRequest, Severity, UpdateAlertRequest,
    alert_service_client::AlertServiceClient,
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{ids::Random, load::Caller, process::KEY};

/// The title of every alert that is flagged.
pub const TITLE: &str = "Balance threshold exceeded";
/// Its description.
pub const DESCRIPTION: &str = "Account balance has exceeded the maximum allowed limit.";
/// How many alerts a page holds.
pub const PAGE_SIZE: i32 = 50;
/// The most connections that calls in flight are spread over.
const MOST_CONNECTIONS: usize = 8;

/// A connection with the key to send.
#[derive(Clone)]
pub struct Client {
    alerts: AlertServiceClient<Channel>,
    key: MetadataValue<Ascii>,
}

impl Client {
    /// Connects to the server at `url`.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        Self::connect_with(url, KEY).await
    }

    /// Connects with another key.
    pub async fn connect_with(url: &str, key: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        let key = MetadataValue::try_from(format!("Bearer {key}"))?;
        Ok(Self { alerts: AlertServiceClient::new(channel), key })
    }

    /// As many clients as calls in flight, on a few connections.
    pub async fn connect_many(url: &str, in_flight: usize) -> anyhow::Result<Vec<Self>> {
        let mut connections = Vec::new();
        for _ in 0..in_flight.min(MOST_CONNECTIONS) {
            connections.push(Self::connect(url).await?);
        }
        Ok(connections.iter().cycle().take(in_flight).cloned().collect())
    }

    fn keyed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.key.clone());
        request
    }

    /// Flags, and tells the id of the alert.
    pub async fn flag(&mut self, request: FlagEntityRequest) -> anyhow::Result<String> {
        let request = self.keyed(request);
        let answer = self.alerts.flag_entity(request).await?.into_inner();
        Ok(answer.alert.context("FlagEntity answered no alert")?.anomaly_id)
    }

    /// Changes an alert.
    pub async fn update(&mut self, request: UpdateAlertRequest) -> anyhow::Result<()> {
        let request = self.keyed(request);
        self.alerts.update_alert(request).await?;
        Ok(())
    }

    /// Reads one page.
    pub async fn list(&mut self, request: ListAlertsRequest) -> anyhow::Result<(Vec<Alert>, String)> {
        let request = self.keyed(request);
        let page = self.alerts.list_alerts(request).await?.into_inner();
        Ok((page.alerts, page.next_page_token))
    }
}

/// What to flag about `entity_id`.
fn flag(entity_id: String) -> FlagEntityRequest {
    FlagEntityRequest {
        entity_id,
        title: TITLE.to_owned(),
        description: DESCRIPTION.to_owned(),
        severity: Severity::High.into(),
        ..FlagEntityRequest::default()
    }
}

/// Flags a balance that nobody has named before.
pub struct Flag {
    client: Client,
    random: Random,
    /// The alerts made, where somebody wants to know.
    made: Option<Vec<String>>,
}

impl Flag {
    /// Flags and forgets.
    pub const fn new(client: Client, random: Random) -> Self {
        Self { client, random, made: None }
    }

    /// Flags and keeps the ids of the alerts.
    pub const fn keeping(client: Client, random: Random) -> Self {
        Self { client, random, made: Some(Vec::new()) }
    }

    /// The ids of the alerts made.
    pub fn made(self) -> Vec<String> {
        self.made.unwrap_or_default()
    }
}

impl Caller for Flag {
    async fn call(&mut self) -> anyhow::Result<()> {
        let entity = self.random.balance_id();
        let request = self.client.keyed(flag(entity.clone()));
        let answer = self.client.alerts.flag_entity(request).await?.into_inner();
        let alert = answer.alert.context("FlagEntity answered no alert")?;
        let is_right = alert.anomaly_id.starts_with("ano_")
            && alert.affected_balances == [entity]
            && alert.description == DESCRIPTION
            && alert.title == TITLE
            && alert.severity == i32::from(Severity::High)
            && alert.version == 1
            && !answer.deduplicated;
        ensure!(is_right, "FlagEntity answered {alert:?}");
        if let Some(made) = &mut self.made {
            made.push(alert.anomaly_id);
        }
        Ok(())
    }
}

/// Reads one of the alerts, whichever.
pub struct Get {
    pub client: Client,
    pub random: Random,
    pub alerts: Arc<[String]>,
}

impl Caller for Get {
    async fn call(&mut self) -> anyhow::Result<()> {
        let id = self.random.choose(&self.alerts);
        let request = self.client.keyed(GetAlertRequest { anomaly_id: id.clone() });
        let answer = self.client.alerts.get_alert(request).await?.into_inner();
        let alert = answer.alert.context("GetAlert answered no alert")?;
        ensure!(&alert.anomaly_id == id && alert.version >= 1, "GetAlert of {id} answered {alert:?}");
        Ok(())
    }
}

/// Reads the first page of all alerts.
pub struct List {
    pub client: Client,
}

impl Caller for List {
    async fn call(&mut self) -> anyhow::Result<()> {
        let request = ListAlertsRequest { page_size: PAGE_SIZE, ..ListAlertsRequest::default() };
        let (alerts, next) = self.client.list(request).await?;
        let key = |alert: &Alert| alert.created_at.map(|at| (at.seconds, at.nanos));
        let is_in_order = alerts.is_sorted_by(|newer, older| key(newer) >= key(older));
        let is_full = i32::try_from(alerts.len()) == Ok(PAGE_SIZE) && !next.is_empty();
        ensure!(is_full && is_in_order, "ListAlerts answered {} alerts, {next:?} next", alerts.len());
        Ok(())
    }
}

/// Assigns one of the alerts, whichever, to somebody new.
pub struct Update {
    pub client: Client,
    pub random: Random,
    pub alerts: Arc<[String]>,
}

impl Caller for Update {
    async fn call(&mut self) -> anyhow::Result<()> {
        let id = self.random.choose(&self.alerts).clone();
        let person = format!("analyst-{:016x}", self.random.next());
        let request = self.client.keyed(UpdateAlertRequest {
            alert: Some(Alert { anomaly_id: id.clone(), assigned_to: person.clone(), ..Alert::default() }),
            update_mask: Some(FieldMask { paths: vec!["assigned_to".to_owned()] }),
            ..UpdateAlertRequest::default()
        });
        let answer = self.client.alerts.update_alert(request).await?.into_inner();
        let alert = answer.alert.context("UpdateAlert answered no alert")?;
        let is_right = alert.anomaly_id == id && alert.assigned_to == person && alert.version > 1;
        ensure!(is_right, "UpdateAlert of {id} answered {alert:?}");
        Ok(())
    }
}
