//! Two server processes on one PostgreSQL, both under load on the same organization; one of them is killed midway. Nothing
//! that was acknowledged is lost, no position is given out twice or left out, and nobody waits for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redflag::grpc::pb::{
    Alert, AlertEvent, EscalateAlertRequest, FlagEntityRequest, GetAlertRequest, ListEventsRequest,
    UpdateAlertRequest, alert_service_client::AlertServiceClient, audit_service_client::AuditServiceClient,
};
use redflag::{app::open_service, store::schema::OnOlderSchema};
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
    /// How many flags of the shared alert there were.
    flags: i64,
}

/// One caller of one server, which turns to the other when its own is gone.
struct Caller {
    name: String,
    client: AlertServiceClient<Channel>,
    other: Option<AlertServiceClient<Channel>>,
    shared: String,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

impl Caller {
    /// Flags an alert, changes it, flags the shared one again, and escalates that; every change named, so that one whose
    /// answer was lost can be sent again.
    async fn round(&mut self, round: usize) -> Result<(), Status> {
        let name = format!("{}-{round}", self.name);
        let flag =
            FlagEntityRequest { request_id: format!("{name}-flag"), ..flag(&format!("txn_{name}"), "") };
        let flagged = self.client.flag_entity(keyed(flag)).await?.into_inner().alert.unwrap();
        self.note(flagged.clone());
        let change = Alert {
            anomaly_id: flagged.anomaly_id,
            status: "INVESTIGATING".to_owned(),
            assigned_to: self.name.clone(),
            ..Default::default()
        };
        let request = UpdateAlertRequest { alert: Some(change), ..Default::default() };
        let updated = self.client.update_alert(keyed(request)).await?.into_inner().alert.unwrap();
        self.note(updated);
        self.fold(&name).await?;
        self.escalate(round).await
    }

    /// Flags the shared alert again, once: without an answer, it is asked for again at the other server.
    async fn fold(&mut self, name: &str) -> Result<(), Status> {
        let flag = FlagEntityRequest { request_id: format!("{name}-fold"), ..flag_shared() };
        let answer = match (self.client.flag_entity(keyed(flag.clone())).await, &mut self.other) {
            (Err(status), Some(other)) if is_gone(&status) => other.flag_entity(keyed(flag)).await,
            (answer, _) => answer,
        };
        let folded = answer?.into_inner();
        assert!(folded.deduplicated && folded.alert.unwrap().anomaly_id == self.shared);
        self.acknowledged.lock().unwrap().flags += 1;
        Ok(())
    }

    /// Puts a name of its own on the shared alert, which has room for few.
    async fn escalate(&mut self, round: usize) -> Result<(), Status> {
        let person = format!("{} {}", self.name, round % 3);
        let request = EscalateAlertRequest {
            anomaly_id: self.shared.clone(),
            to: vec![person.clone()],
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

/// Whether it is nothing but the end of the connection.
fn is_gone(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
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

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_feed_and_one_is_killed() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    let (first, second) = (Process::serve(database.url()), Process::serve(database.url()));
    let mut survivor = AlertServiceClient::connect(second.url().to_owned()).await.unwrap();
    let made = survivor.flag_entity(keyed(flag_shared())).await.unwrap().into_inner().alert.unwrap();
    let acknowledged = Arc::new(Mutex::new(Acknowledged { flags: 1, ..Acknowledged::default() }));
    let killed = Arc::new(AtomicUsize::new(0));
    let survivor_of = survivor.clone();
    let caller = |server: usize, number: usize, client: &AlertServiceClient<Channel>| Caller {
        name: format!("{server}-{number}"),
        client: client.clone(),
        other: (server == 1).then(|| survivor_of.clone()),
        shared: made.anomaly_id.clone(),
        acknowledged: Arc::clone(&acknowledged),
    };
    let doomed = AlertServiceClient::connect(first.url().to_owned()).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..CALLERS {
        let (caller, killed) = (caller(1, number, &doomed), Arc::clone(&killed));
        tasks.push(tokio::spawn(until_killed(caller, killed)));
    }
    for number in 0..CALLERS {
        let mut caller = caller(2, number, &survivor);
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                caller.round(round).await.expect("the server that lives answers every call");
            }
        }));
    }
    while killed.load(Ordering::SeqCst) < BEFORE {
        assert!(!tasks[0].is_finished(), "the first server answers no more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill();
    for task in tasks {
        tokio::time::timeout(Duration::from_mins(2), task).await.expect("nobody waits for ever").unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    check_alerts(&mut survivor, &acknowledged, &made.anomaly_id).await;
    check_feed(second.url(), &acknowledged).await;
    check_audit(database.url()).await;
}

/// Makes rounds until the server is gone; tells how many.
async fn until_killed(mut caller: Caller, rounds: Arc<AtomicUsize>) {
    for round in 0.. {
        match caller.round(round).await {
            Ok(()) => rounds.fetch_add(1, Ordering::SeqCst),
            // Nothing but the end of the connection.
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) => {
                return;
            }
            Err(status) => panic!("{status:?}"),
        };
    }
}

/// Everything that was acknowledged is there.
async fn check_alerts(client: &mut AlertServiceClient<Channel>, acknowledged: &Acknowledged, shared: &str) {
    let mut read = async |anomaly_id: &str| {
        let request = GetAlertRequest { anomaly_id: anomaly_id.to_owned() };
        client.get_alert(keyed(request)).await.unwrap().into_inner().alert.unwrap()
    };
    for (id, alert) in &acknowledged.own {
        let found = read(id).await;
        assert!(found.version > alert.version || found == *alert, "{found:?} is not {alert:?}");
    }
    let found = read(shared).await;
    for person in &acknowledged.people {
        assert!(found.escalated_to.contains(person), "{person} was lost");
    }
    assert_eq!(found.occurrence_count, acknowledged.flags, "a repeat was lost, or counted twice");
}

/// The feed has every position once, in order, and every alert that was acknowledged.
async fn check_feed(url: &str, acknowledged: &Acknowledged) {
    let mut client = AuditServiceClient::connect(url.to_owned()).await.unwrap();
    let mut events: Vec<AlertEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.position);
        let request = ListEventsRequest { after, page_size: 1_000, ..Default::default() };
        let page = client.list_events(keyed(request)).await.unwrap().into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            break;
        }
    }
    assert!(events.iter().map(|event| event.position).eq(1..=i64::try_from(events.len()).unwrap()));
    let flagged: BTreeSet<_> = events.iter().map(|event| event.anomaly_id.as_str()).collect();
    assert!(acknowledged.own.keys().all(|id| flagged.contains(id.as_str())));
}

async fn check_audit(database_url: &str) {
    let service = open_service(database_url, OnOlderSchema::Refuse).await.unwrap();
    let organization = service.find_organization(None).await.unwrap().id;
    let verified = service.verify(organization, 1, &mut |_, _| {}).await.unwrap();
    assert_eq!(verified.events, verified.head.position);
}
