//! Starting, stopping, and the database going away.

use std::{net::TcpListener, time::Duration};

use redflag::{
    app::App,
    grpc::pb::{FlagEntityRequest, ListAlertsRequest},
    store::schema::OnOlderSchema,
};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{DatabaseKind, TestApp, TestDatabase, app::config, keyed, outage};

async fn start_error(url: &str, adjust: impl FnOnce(&mut redflag::app::Config)) -> String {
    match App::start(config(url, adjust)).await {
        Ok(_) => panic!("the server started"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn what_hinders_a_start_is_told_in_a_line() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = start_error(database.url(), |config| config.listen.clone_from(&address)).await;
    assert!(told.starts_with(&format!("can't listen on {address}: Address already in use")), "{told}");
    let told = start_error("sqlite:/nowhere/at/all.db", |_| {}).await;
    assert!(told.starts_with("can't open the database: "), "{told}");
    let told = start_error("postgres://nobody@127.0.0.1:1/none", |_| {}).await;
    assert!(told.starts_with("can't open the database: ") && told.contains("refused"), "{told}");
    let told = start_error("mysql://secret:password@host/none", |_| {}).await;
    assert_eq!(told, "the database URL must begin with sqlite: or postgres://");
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_older_or_newer_schema_is_refused_with_both_versions(#[case] kind: DatabaseKind) {
    let database = TestDatabase::create(kind).await;
    let refuse = |config: &mut redflag::app::Config| config.on_older = OnOlderSchema::Refuse;
    let told = start_error(database.url(), refuse).await;
    assert!(told.contains("is version 0, this redflag needs 1: run `redflag migrate`"), "{told}");
    let database = TestApp::start_with(database, |_| {}).await.stop().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'from the future', true, '', 0)";
    database.execute(newer).await;
    let told = start_error(database.url(), |_| {}).await;
    assert!(told.contains("is version 99, newer than the 1 this redflag knows"), "{told}");
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn what_was_flagged_is_there_after_a_restart(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let request = FlagEntityRequest {
        entity_id: "bln_1".to_owned(),
        description: "Something is off.".to_owned(),
        ..Default::default()
    };
    let made = app.alerts().flag_entity(keyed(request)).await.unwrap().into_inner().alert.unwrap();
    let app = TestApp::start_with(app.stop().await, |_| {}).await;
    let list = app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
    assert_eq!(list.into_inner().alerts, [made]);
}

#[tokio::test]
async fn a_call_in_flight_finishes_while_the_server_stops() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = r#"{"description": "sent slowly"}"#;
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        crate::support::app::KEY,
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body.as_bytes()[..5]).await.unwrap();
    // Lets the server begin the call before it is told to stop.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopped = tokio::spawn(app.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!stopped.is_finished());
    connection.write_all(&body.as_bytes()[5..]).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_call_that_never_ends_does_not_hold_up_the_shutdown() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let app = TestApp::start_with(database, |config| config.drain_timeout = Duration::from_millis(300)).await;
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    connection.write_all(b"POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(Duration::from_secs(5), app.stop()).await.unwrap();
}

#[tokio::test]
async fn a_database_that_goes_away_makes_calls_unavailable_and_the_process_lives() {
    let app = TestApp::start(DatabaseKind::Postgres).await;
    app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
    outage::take_away(app.database().url()).await;
    let refused = app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    let ready = async || app.rest(reqwest::Method::GET, "/readyz").send().await.unwrap().status();
    assert_eq!(ready().await, 503);
    outage::give_back(app.database().url()).await;
    app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
    assert_eq!(ready().await, 200);
}
