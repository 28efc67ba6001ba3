//! Starting, stopping, and the database going away.

use std::{net::TcpListener, time::Duration};

use redflag::{
    app::App,
    grpc::pb::{FlagEntityRequest, ListAlertsRequest, ListEventsRequest},
};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    DatabaseKind, TestApp, TestDatabase,
    app::{KEY, config},
    keyed, outage,
    process::Process,
};

async fn start_error(url: &str, adjust: impl FnOnce(&mut redflag::app::Config)) -> String {
    match App::start(&config(url, adjust)).await {
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
    let refuse = |config: &mut redflag::app::Config| config.no_migrate = true;
    let told = start_error(database.url(), refuse).await;
    assert!(told.contains("is version 0, this redflag needs 7: run `redflag migrate`"), "{told}");
    let database = TestApp::start_with(database, |_| {}).await.stop().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'from the future', true, '', 0)";
    database.execute(newer).await;
    let told = start_error(database.url(), |_| {}).await;
    assert!(told.contains("is version 99, newer than the 7 this redflag knows"), "{told}");
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

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn the_history_goes_on_and_repeats_are_known_after_a_restart(#[case] kind: DatabaseKind) {
    let request = |request_id: &str| {
        keyed(FlagEntityRequest {
            entity_id: "bln_1".to_owned(),
            description: "Something is off.".to_owned(),
            dedup_key: "k".to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        })
    };
    let app = TestApp::start(kind).await;
    let made = app.alerts().flag_entity(request("one")).await.unwrap().into_inner();
    let app = TestApp::start_with(app.stop().await, |_| {}).await;
    let again = app.alerts().flag_entity(request("one")).await.unwrap();
    assert_eq!(again.metadata().get("idempotency-replayed").unwrap(), "true");
    assert_eq!(again.into_inner(), made);
    let folded = app.alerts().flag_entity(request("two")).await.unwrap().into_inner();
    assert!(folded.deduplicated && folded.alert.unwrap().occurrence_count == 2);
    let feed =
        app.audit().list_events(keyed(ListEventsRequest::default())).await.unwrap().into_inner().events;
    assert_eq!((feed.len(), &feed[1].previous_hash), (2, &feed[0].hash));
}

#[tokio::test]
async fn a_call_in_flight_finishes_while_the_server_stops() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let body = r#"{"description": "sent slowly"}"#;
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        KEY,
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // The server says so once it wants the body: by then the call has begun.
    let mut wanted = [0; 25];
    connection.read_exact(&mut wanted).await.unwrap();
    assert!(wanted.starts_with(b"HTTP/1.1 100 Continue"));
    connection.write_all(&body.as_bytes()[..5]).await.unwrap();
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
    // Connections that were cut are found out one by one.
    for _ in 0..50 {
        let listed = app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await;
        if listed.is_ok() && ready().await == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server does not recover");
}

#[tokio::test]
async fn a_disk_that_is_full_makes_writes_unavailable_until_there_is_room_again() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let server = Process::serve_in_little_room(database.url(), 600);
    let flag = async || {
        let body = format!(r#"{{"description": "{}"}}"#, "x".repeat(10_000));
        let request = reqwest::Client::new().post(format!("{}/alerts/flag/bln_1", server.url()));
        let request = request.bearer_auth(KEY).header("content-type", "application/json").body(body);
        request.send().await.unwrap().status()
    };
    let (mut acknowledged, mut refused) = (0, 0);
    // If the log is full first, there is room again once its content is moved to the database.
    while refused < 3 {
        match flag().await.as_u16() {
            201 => (acknowledged, refused) = (acknowledged + 1, 0),
            status => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
        assert!(acknowledged < 1_000, "the disk never fills up");
    }
    server.give_room();
    assert_eq!(flag().await, 201);
    let list = reqwest::Client::new().get(format!("{}/alerts?include_total=true", server.url()));
    let list: serde_json::Value = list.bearer_auth(KEY).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["total"], acknowledged + 1);
}

#[tokio::test]
async fn a_reflection_stream_that_is_left_open_does_not_hold_up_the_shutdown() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    };
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(asked), tokio_stream::pending());
    let mut client = ServerReflectionClient::new(app.channel());
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    answers.message().await.unwrap();
    // Well before the ten seconds that calls in flight would be given.
    tokio::time::timeout(Duration::from_secs(8), app.stop()).await.unwrap();
}
