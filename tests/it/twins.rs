//! Two server processes on one PostgreSQL, both under load on the same organization; one of them is killed midway, and what
//! it left unanswered is sent again to the other. Nothing that was acknowledged is lost, nothing happens twice, no position
//! is given out twice or left out, and nobody waits for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redflag::grpc::pb::{
    Alert, AlertEvent, EscalateAlertRequest, FlagEntityRequest, GetAlertRequest, ListEventsRequest,
    UpdateAlertRequest, alert_service_client::AlertServiceClient, audit_service_client::AuditServiceClient,
};
use redflag::{app::open_database, store::schema::OnOlderSchema};
use tonic::{Code, Status, transport::Channel};

use crate::support::{DatabaseKind, TestDatabase, keyed, process::Process};

/// How many callers each server has.
const CALLERS: usize = 8;
/// After how many rounds of one caller the first server is killed.
const BEFORE: usize = 25;
/// How many rounds the callers of the second server make.
const ROUNDS: usize = 60;

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// The last answer about each alert of one caller.
    own: BTreeMap<String, Alert>,
    /// Whom the shared alert was escalated to.
    people: BTreeSet<String>,
    /// The repeats of the shared alert, by name.
    repeats: BTreeSet<String>,
}

/// One caller of one server. Each of its calls has a name, so that a round can be made again.
struct Caller {
    name: String,
    client: AlertServiceClient<Channel>,
    shared: String,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

impl Caller {
    /// Flags an alert, changes it, flags the shared one again, and escalates that.
    async fn round(&mut self, round: usize) -> Result<(), Status> {
        let name = format!("{}-{round}", self.name);
        let flagged = self.flag(&name).await?;
        self.update(&name, flagged).await?;
        self.fold(format!("{name}-fold")).await?;
        self.escalate(&name, format!("{} {}", self.name, round % 3)).await
    }

    async fn flag(&mut self, name: &str) -> Result<Alert, Status> {
        let request =
            FlagEntityRequest { request_id: format!("{name}-flag"), ..flag(&format!("txn_{name}"), "") };
        let flagged = self.client.flag_entity(keyed(request)).await?.into_inner().alert.unwrap();
        self.note(flagged.clone());
        Ok(flagged)
    }

    async fn update(&mut self, name: &str, flagged: Alert) -> Result<(), Status> {
        let change = Alert {
            anomaly_id: flagged.anomaly_id,
            status: "INVESTIGATING".to_owned(),
            assigned_to: self.name.clone(),
            ..Default::default()
        };
        let request_id = format!("{name}-update");
        let request = UpdateAlertRequest { alert: Some(change), request_id, ..Default::default() };
        let updated = self.client.update_alert(keyed(request)).await?.into_inner().alert.unwrap();
        self.note(updated);
        Ok(())
    }

    async fn fold(&mut self, request_id: String) -> Result<(), Status> {
        let request = FlagEntityRequest { request_id: request_id.clone(), ..flag_shared() };
        let folded = self.client.flag_entity(keyed(request)).await?.into_inner();
        assert!(folded.deduplicated && folded.alert.unwrap().anomaly_id == self.shared);
        self.acknowledged.lock().unwrap().repeats.insert(request_id);
        Ok(())
    }

    /// Puts a name of its own on the shared alert, which has room for few.
    async fn escalate(&mut self, name: &str, person: String) -> Result<(), Status> {
        let request = EscalateAlertRequest {
            anomaly_id: self.shared.clone(),
            to: vec![person.clone()],
            request_id: format!("{name}-escalate"),
            ..Default::default()
        };
        self.client.escalate_alert(keyed(request)).await?;
        self.acknowledged.lock().unwrap().people.insert(person);
        Ok(())
    }

    fn note(&self, alert: Alert) {
        self.acknowledged.lock().unwrap().own.insert(alert.anomaly_id.clone(), alert);
    }
}

fn flag(entity_id: &str, dedup_key: &str) -> FlagEntityRequest {
    FlagEntityRequest {
        entity_id: entity_id.to_owned(),
        description: "Something is off.".to_owned(),
        dedup_key: dedup_key.to_owned(),
        ..Default::default()
    }
}

fn flag_shared() -> FlagEntityRequest {
    flag("bln_shared", "shared")
}

/// What the callers of the server that is killed know of its end.
#[derive(Default)]
struct Doom {
    /// How many rounds it has answered.
    rounds: AtomicUsize,
    /// Whether it is, or is about to be, killed.
    is_killed: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_feed_and_one_is_killed() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    let (first, second) = (Process::serve(database.url()), Process::serve(database.url()));
    let (doomed, mut survivor) = (connect(&first).await, connect(&second).await);
    let made = survivor.flag_entity(keyed(flag_shared())).await.unwrap().into_inner().alert.unwrap();
    let (acknowledged, doom) = (Arc::<Mutex<Acknowledged>>::default(), Arc::<Doom>::default());
    let caller = |server: usize, number: usize, client: &AlertServiceClient<Channel>| Caller {
        name: format!("{server}-{number}"),
        client: client.clone(),
        shared: made.anomaly_id.clone(),
        acknowledged: Arc::clone(&acknowledged),
    };
    let mut tasks = Vec::new();
    for number in 0..CALLERS {
        let caller = caller(1, number, &doomed);
        tasks.push(tokio::spawn(until_killed(caller, Arc::clone(&doom), survivor.clone())));
    }
    for number in 0..CALLERS {
        tasks.push(tokio::spawn(every_round(caller(2, number, &survivor))));
    }
    while doom.rounds.load(Ordering::SeqCst) < BEFORE {
        assert!(!tasks[0].is_finished(), "the first server answers no more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    doom.is_killed.store(true, Ordering::SeqCst);
    first.kill();
    for task in tasks {
        tokio::time::timeout(Duration::from_mins(2), task).await.expect("nobody waits for ever").unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    check_alerts(&mut survivor, &acknowledged, &made.anomaly_id).await;
    check_feed(&database, &second, &acknowledged).await;
    check_audit(database.url()).await;
}

async fn connect(server: &Process) -> AlertServiceClient<Channel> {
    AlertServiceClient::connect(server.url().to_owned()).await.unwrap()
}

/// Makes all rounds with the server that lives.
async fn every_round(mut caller: Caller) {
    for round in 0..ROUNDS {
        caller.round(round).await.expect("the server that lives answers every call");
    }
}

/// Makes rounds until the server is gone, and makes the last one again with the other.
async fn until_killed(mut caller: Caller, doom: Arc<Doom>, survivor: AlertServiceClient<Channel>) {
    for round in 0.. {
        let Err(status) = caller.round(round).await else {
            doom.rounds.fetch_add(1, Ordering::SeqCst);
            continue;
        };
        // Nothing but the end of the connection.
        let is_end = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled);
        assert!(is_end && doom.is_killed.load(Ordering::SeqCst), "{status:?}");
        caller.client = survivor;
        return caller.round(round).await.expect("the server that lives answers what is sent again");
    }
}

/// Everything that was acknowledged is there.
async fn check_alerts(client: &mut AlertServiceClient<Channel>, acknowledged: &Acknowledged, shared: &str) {
    let mut read = async |anomaly_id: &str| {
        let request = GetAlertRequest { anomaly_id: anomaly_id.to_owned() };
        client.get_alert(keyed(request)).await.unwrap().into_inner().alert.unwrap()
    };
    for (id, alert) in &acknowledged.own {
        assert_eq!((read(id).await, alert.version), (alert.clone(), 2));
    }
    let found = read(shared).await;
    for person in &acknowledged.people {
        assert!(found.escalated_to.contains(person), "{person} was lost");
    }
    assert_eq!(found.escalated_to.len(), acknowledged.people.len());
    // Once when it was made, and once for each repeat.
    assert_eq!(found.occurrence_count, 1 + i64::try_from(acknowledged.repeats.len()).unwrap());
}

/// The feed has every position once, in order, and every alert that was acknowledged once; a server that is started now
/// reads the same.
async fn check_feed(database: &TestDatabase, survivor: &Process, acknowledged: &Acknowledged) {
    let events = feed(survivor.url()).await;
    assert!(events.iter().map(|event| event.position).eq(1..=i64::try_from(events.len()).unwrap()));
    let flagged: Vec<_> = events.iter().filter(|event| event.sequence == 1).collect();
    assert_eq!(flagged.len(), 1 + acknowledged.own.len(), "nothing was flagged twice");
    let flagged: BTreeSet<_> = flagged.into_iter().map(|event| event.anomaly_id.as_str()).collect();
    assert!(acknowledged.own.keys().all(|id| flagged.contains(id.as_str())));
    let fresh = Process::serve(database.url());
    assert!(feed(fresh.url()).await == events, "a fresh server reads another feed");
}

/// The whole feed.
async fn feed(url: &str) -> Vec<AlertEvent> {
    let mut client = AuditServiceClient::connect(url.to_owned()).await.unwrap();
    let mut events: Vec<AlertEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.position);
        let request = ListEventsRequest { after, page_size: 1_000, ..Default::default() };
        let page = client.list_events(keyed(request)).await.unwrap().into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            return events;
        }
    }
}

async fn check_audit(database_url: &str) {
    let service = open_database(database_url, OnOlderSchema::Refuse).await.unwrap();
    let organization = service.find_organization(None).await.unwrap().id;
    let verified = service.verify(organization, 1, &mut |_, _| {}).await.unwrap();
    assert_eq!(verified.events, verified.head.position);
}
