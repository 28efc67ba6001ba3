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

use crate::support::{DatabaseKind, TestApp, TestDatabase, app::KEY, keyed, process::Process};

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

/// A connection that takes nothing of any answer.
async fn connect(url: &str) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let (client, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake(socket).await.unwrap();
    tokio::spawn(connection);
    client
}

fn ask(client: &mut SendRequest<Bytes>) -> ResponseFuture {
    let request =
        http::Request::get(format!("http://x{LIST}")).header("authorization", format!("Bearer {KEY}"));
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
    let one = Client::new().get(format!("{}/alerts/statuses", process.url())).bearer_auth(KEY);
    assert_eq!(one.send().await.unwrap().status(), StatusCode::OK);
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
