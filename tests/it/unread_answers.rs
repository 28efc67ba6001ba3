//! A caller that asks for much and reads nothing does not fill the memory.

use std::{fs, time::Duration};

use axum::body::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use redflag::{answers::AnswerLimits, grpc::pb::ListAlertsRequest};
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::Code;

use crate::support::{
    DatabaseKind, TestApp, TestDatabase,
    app::{KEY, with_key},
    keyed,
    keys::{beside, make_key},
    process::Process,
};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_mins(1);
/// The resident memory that the unoptimised build may keep; the calls ask for four times as much.
const MOST_RESIDENT_KIB: u64 = 400 * 1024;
const LIST: &str = "/alerts?page_size=1000";
/// As many of the longest descriptions as fill a page of 3 MiB.
const ALERTS: usize = 75;

async fn flag_many(url: &str) {
    let body = json!({ "description": "𝄞".repeat(10_000) });
    for number in 0..ALERTS {
        let request = Client::new().post(format!("{url}/alerts/flag/bln_{number}")).bearer_auth(KEY);
        assert_eq!(request.json(&body).send().await.unwrap().status(), StatusCode::CREATED);
    }
}

/// A connection that takes so many bytes of each answer.
async fn connect_for(url: &str, bytes: u32) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(bytes).initial_connection_window_size((1 << 31) - 1);
    let (client, connection) = builder.handshake(socket).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A connection that takes nothing of any answer.
async fn connect(url: &str) -> SendRequest<Bytes> {
    connect_for(url, 0).await
}

fn ask(client: &mut SendRequest<Bytes>) -> ResponseFuture {
    ask_with(client, KEY)
}

fn ask_with(client: &mut SendRequest<Bytes>, key: &str) -> ResponseFuture {
    let request =
        http::Request::get(format!("http://x{LIST}")).header("authorization", format!("Bearer {key}"));
    client.send_request(request.body(()).unwrap(), true).unwrap().0
}

fn resident_kib(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_and_further_ones_refused() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let process = Process::serve(database.url());
    flag_many(process.url()).await;
    let before = resident_kib(&process);
    let mut answers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = connect(process.url()).await.ready().await.unwrap();
        for _ in 0..128 {
            answers.push(ask(&mut client));
            client = client.ready().await.unwrap();
        }
        clients.push(client);
    }
    let (mut given, mut refused) = (Vec::new(), 0);
    for answer in answers {
        let answer = timeout(LONG, answer).await.expect("an answer comes").unwrap();
        match answer.status() {
            StatusCode::OK => given.push(answer),
            StatusCode::TOO_MANY_REQUESTS => {
                assert_eq!(answer.headers()["retry-after"], "1");
                refused += 1;
            }
            status => panic!("{status}"),
        }
    }
    let after = resident_kib(&process);
    println!("{} given, {refused} refused, {before} KiB before, {after} KiB after", given.len());
    assert!(!given.is_empty() && refused > 0);
    assert!(after < MOST_RESIDENT_KIB, "{after} KiB are resident");
    // Other calls of the key are served.
    let one = Client::new().post(format!("{}/alerts/flag/bln_other", process.url())).bearer_auth(KEY);
    let one = one.json(&json!({ "description": "served" }));
    assert_eq!(one.send().await.unwrap().status(), StatusCode::CREATED);
}

/// Reads an answer as far as its window goes, and gives no more of it.
async fn take_window(body: h2::RecvStream, window: u32) -> h2::RecvStream {
    let mut body = body;
    let mut taken = 0;
    while taken < window as usize {
        taken += timeout(LONG, body.data()).await.expect("data comes").unwrap().unwrap().len();
    }
    body
}

#[tokio::test]
async fn answers_of_which_the_end_is_not_taken_are_bounded_too() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let process = Process::serve(database.url());
    flag_many(process.url()).await;
    let list = Client::new().get(format!("{}{LIST}", process.url())).bearer_auth(KEY);
    let size = list.send().await.unwrap().bytes().await.unwrap().len();
    let window = u32::try_from(size).unwrap() - 50_000;
    let (mut held, mut refused, mut clients) = (Vec::new(), 0, Vec::new());
    for _ in 0..2 {
        let mut client = connect_for(process.url(), window).await.ready().await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..120 {
            answers.push(ask(&mut client));
            client = client.ready().await.unwrap();
        }
        clients.push(client);
        for answer in answers {
            let answer = timeout(LONG, answer).await.expect("an answer comes").unwrap();
            match answer.status() {
                StatusCode::OK => held.push(take_window(answer.into_body(), window).await),
                StatusCode::TOO_MANY_REQUESTS => refused += 1,
                status => panic!("{status}"),
            }
        }
    }
    let after = resident_kib(&process);
    println!("{} held, {refused} refused, {after} KiB resident", held.len());
    assert!(!held.is_empty() && refused > 0);
    assert!(after < MOST_RESIDENT_KIB, "{after} KiB are resident");
}

#[tokio::test]
async fn an_organization_leaves_room_for_the_lists_of_another() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let limits = AnswerLimits { per_key: 4, total: 8 };
    let app = TestApp::start_with(database, |config| config.answers = limits).await;
    flag_many(&app.url("")).await;
    let service = beside(&app).await;
    let (_, second) = make_key(&service, "default", &["*"], None).await;
    service.create_organization("other").await.unwrap();
    let (_, other) = make_key(&service, "other", &["*"], None).await;
    let mut client = connect(&app.url("")).await;
    let held = timeout(LONG, ask(&mut client)).await.unwrap().unwrap();
    assert_eq!(held.status(), StatusCode::OK);
    let mut client = client.ready().await.unwrap();
    let refused = timeout(LONG, ask_with(&mut client, &second)).await.unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "it has as much as it leaves free");
    let list = app.rest_without_key(Method::GET, "/alerts").bearer_auth(&other);
    assert_eq!(list.send().await.unwrap().status(), StatusCode::OK);
    let mut alerts = app.alerts();
    alerts.list_alerts(with_key(ListAlertsRequest::default(), &other)).await.unwrap();
}

#[tokio::test]
async fn both_faces_refuse_lists_alike_and_serve_them_again() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let limits = AnswerLimits { per_key: 4, total: 4 };
    let app = TestApp::start_with(database, |config| config.answers = limits).await;
    flag_many(&app.url("")).await;
    let mut client = connect(&app.url("")).await;
    let held = timeout(LONG, ask(&mut client)).await.unwrap().unwrap();
    assert_eq!(held.status(), StatusCode::OK);
    let refused = app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    for path in [LIST, "/events", "/cloud/alerts"] {
        let refused = app.rest(Method::GET, path).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let body: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(body["error_detail"]["code"], "GEN_RATE_LIMITED");
    }
    drop((held, client));
    for _ in 0..200 {
        if app.alerts().list_alerts(keyed(ListAlertsRequest::default())).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the room is not given back");
}
