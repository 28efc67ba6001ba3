//! `kill -9` under load: what was acknowledged is there after the restart, and nothing is half there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use redflag::grpc::pb::{
    Alert, FlagEntityRequest, ListAlertsRequest, UpdateAlertRequest, alert_service_client::AlertServiceClient,
};
use redflag::{app::open_database, store::schema::OnOlderSchema};
use rstest::rstest;
use tonic::transport::Channel;

use crate::support::{DatabaseKind, TestDatabase, keyed, process::Process};

/// How many callers flag and change alerts at once.
const CALLERS: usize = 16;
/// How often the server is killed.
const ROUNDS: usize = 3;
/// How many alerts are acknowledged before the server is killed.
const ENOUGH: usize = 150;

/// What the server has acknowledged, by id: the last answer to each alert's caller.
type Acknowledged = Arc<Mutex<HashMap<String, Alert>>>;

async fn connect(url: &str) -> AlertServiceClient<Channel> {
    AlertServiceClient::connect(url.to_owned()).await.expect("the server listens")
}

/// Flags alerts and moves each on once, until the server is gone.
async fn keep_writing(mut client: AlertServiceClient<Channel>, caller: String, acknowledged: Acknowledged) {
    for number in 0.. {
        let entities = (1..4).map(|part| format!("txn_{caller}-{number}-{part}")).collect();
        let flag = FlagEntityRequest {
            entity_id: format!("bln_{caller}"),
            description: "Something is off.".to_owned(),
            additional_entity_ids: entities,
            escalated_to: vec![format!("person {caller}")],
            ..Default::default()
        };
        let Ok(flagged) = client.flag_entity(keyed(flag)).await else { return };
        let alert = flagged.into_inner().alert.unwrap();
        acknowledged.lock().unwrap().insert(alert.anomaly_id.clone(), alert.clone());
        let change =
            Alert { anomaly_id: alert.anomaly_id, status: "INVESTIGATING".to_owned(), ..Default::default() };
        let change = UpdateAlertRequest { alert: Some(change), update_mask: None, ..Default::default() };
        let Ok(updated) = client.update_alert(keyed(change)).await else { return };
        let alert = updated.into_inner().alert.unwrap();
        acknowledged.lock().unwrap().insert(alert.anomaly_id.clone(), alert);
    }
}

async fn all(client: &mut AlertServiceClient<Channel>, filter: ListAlertsRequest) -> HashMap<String, Alert> {
    let mut request = ListAlertsRequest { page_size: 1_000, ..filter };
    let mut found = HashMap::new();
    loop {
        let page = client.list_alerts(keyed(request.clone())).await.unwrap().into_inner();
        found.extend(page.alerts.into_iter().map(|alert| (alert.anomaly_id.clone(), alert)));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// Each alert is found by each entity and each person that it names: none of it is half there.
async fn check_whole(client: &mut AlertServiceClient<Channel>, alerts: &HashMap<String, Alert>) {
    let callers = (0..ROUNDS).flat_map(|round| (0..CALLERS).map(move |caller| format!("{round}-{caller}")));
    for caller in callers {
        let by_person = ListAlertsRequest { escalated_to: format!("person {caller}"), ..Default::default() };
        let by_person = all(client, by_person).await;
        let by_entity = ListAlertsRequest { entity_ids: vec![format!("bln_{caller}")], ..Default::default() };
        assert_eq!(all(client, by_entity).await, by_person);
        let own = alerts.values().filter(|alert| alert.affected_balances == [format!("bln_{caller}")]);
        assert_eq!(own.count(), by_person.len());
    }
    assert!(alerts.values().all(|alert| alert.affected_transactions.len() == 3));
    for alert in alerts.values().take(50) {
        let entity_ids = vec![alert.affected_transactions[2].clone()];
        let found = all(client, ListAlertsRequest { entity_ids, ..Default::default() }).await;
        assert_eq!(found.len(), 1);
        assert!(found.contains_key(&alert.anomaly_id));
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_nine(#[case] kind: DatabaseKind) {
    let database = TestDatabase::create(kind).await;
    let acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let before = acknowledged.lock().unwrap().len();
        let server = Process::serve(database.url());
        let client = connect(server.url()).await;
        let writers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                tokio::spawn(keep_writing(
                    client.clone(),
                    format!("{round}-{caller}"),
                    Arc::clone(&acknowledged),
                ))
            })
            .collect();
        while acknowledged.lock().unwrap().len() < before + ENOUGH {
            assert!(writers.iter().any(|writer| !writer.is_finished()), "no call succeeds any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    let server = Process::serve(database.url());
    let mut client = connect(server.url()).await;
    let stored = all(&mut client, ListAlertsRequest::default()).await;
    for (id, alert) in acknowledged.lock().unwrap().iter() {
        let found = stored.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is gone"));
        // A change whose answer was cut off may have happened, but never less than was acknowledged.
        assert!(found.version >= alert.version, "{found:?} is older than {alert:?}");
        assert!(found.version > alert.version || found == alert, "{found:?} is not {alert:?}");
    }
    check_whole(&mut client, &stored).await;
    check_history(database.url()).await;
}

/// The feed has no gap, and every alert is what its history says: no event without its change, no change without its event.
async fn check_history(database_url: &str) {
    let service = open_database(database_url, OnOlderSchema::Refuse).await.unwrap();
    let organization = service.find_organization(None).await.unwrap().id;
    let verified = service.verify(organization, 1, &mut |_, _| {}).await.unwrap();
    assert_eq!(verified.events, verified.head.position);
}
