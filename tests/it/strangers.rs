//! Health and reflection need no key, and give no power over the server.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use h2::{SendStream, client::ResponseFuture, client::SendRequest};
use redflag::{app::Config, grpc::Reflection};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::support::{DatabaseKind, TestApp, TestDatabase, keyed};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

async fn start(adjust: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::start_with(TestDatabase::create(DatabaseKind::Sqlite).await, adjust).await
}

/// A connection that speaks HTTP/2 without any key.
async fn connect(app: &TestApp) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(app.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Begins a call and sends `message` of it, but no end.
fn begin(client: &mut SendRequest<Bytes>, path: &str, message: &[u8]) -> (ResponseFuture, SendStream<Bytes>) {
    let request = http::Request::post(format!("http://x{path}")).header("content-type", "application/grpc");
    let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::copy_from_slice(message), false).unwrap();
    (answer, body)
}

/// The status that a call is answered with at once.
async fn status(answer: ResponseFuture) -> Option<String> {
    let answer = timeout(LONG, answer).await.expect("an answer comes").unwrap();
    answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_half_sent_check_ends_when_its_time_is_up() {
    let app = start(|config| config.request_timeout = Duration::from_millis(300)).await;
    let mut client = connect(&app).await;
    let (answer, _body) = begin(&mut client, CHECK, &[0, 0, 0]);
    assert_eq!(status(answer).await.unwrap(), (Code::DeadlineExceeded as i32).to_string());
}

#[rstest]
#[case::half_sent_checks(CHECK, &[0, 0, 0])]
#[case::watches(WATCH, &[0, 0, 0, 0, 0])]
#[tokio::test]
async fn a_connection_has_few_open_calls(#[case] path: &str, #[case] message: &[u8]) {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut client = connect(&app).await.ready().await.unwrap();
    let mut calls: Vec<_> = (0..8).map(|_| begin(&mut client, path, message)).collect();
    let (refused, _body) = begin(&mut client, path, message);
    assert_eq!(status(refused).await.unwrap(), (Code::ResourceExhausted as i32).to_string());
    // Another connection has its own.
    let mut health = HealthClient::new(app.channel());
    health.check(HealthCheckRequest::default()).await.unwrap();
    // A caller that ends a call may begin another.
    drop(calls.pop());
    for _ in 0..200 {
        let (mut again, _body) = begin(&mut client, path, message);
        let refused = timeout(Duration::from_millis(300), &mut again).await;
        if refused.is_err() || !refused.unwrap().unwrap().headers().contains_key("grpc-status") {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the place is not given back");
}

/// A connection that speaks HTTP/2 without any key, from another address of this machine.
async fn connect_from(app: &TestApp, address: [u8; 4]) -> SendRequest<Bytes> {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let socket = socket.connect(app.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn one_address_leaves_streams_for_others() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let (mut held, mut connections, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..140 {
        let mut client = connect_from(&app, [127, 0, 0, 2]).await.ready().await.unwrap();
        for _ in 0..8 {
            let (answer, mut body) = begin(&mut client, WATCH, &[0, 0, 0, 0, 0]);
            body.send_data(Bytes::new(), true).unwrap();
            let answer = timeout(LONG, answer).await.expect("an answer comes").unwrap();
            refused += usize::from(answer.headers().contains_key("grpc-status"));
            held.push((answer, body));
        }
        connections.push(client);
    }
    assert!(refused > 0, "one address has all streams");
    let mut health = HealthClient::new(app.channel());
    let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 1);
}

#[tokio::test]
async fn messages_without_a_key_are_small() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let long = HealthCheckRequest { service: "x".repeat(5_000) };
    let refused = HealthClient::new(app.channel()).check(long).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    // Reflection ends without a word.
    assert!(!reflect(&app, keyed(()).metadata(), &"x".repeat(5_000)).await.unwrap());
}

#[rstest]
#[case::open(Reflection::Open, None, None)]
#[case::keyed_without_a_key(Reflection::Keyed, Some(Code::Unauthenticated), None)]
#[case::off(Reflection::Off, Some(Code::Unimplemented), Some(Code::Unimplemented))]
#[tokio::test]
async fn reflection_is_for_whom_it_is_set(
    #[case] reflection: Reflection,
    #[case] without_key: Option<Code>,
    #[case] with_key: Option<Code>,
) {
    let app = start(|config| config.reflection = reflection).await;
    let code = |answer: Result<bool, tonic::Status>| answer.err().map(|status| status.code());
    assert_eq!(code(reflect(&app, &tonic::metadata::MetadataMap::new(), "").await), without_key);
    assert_eq!(code(reflect(&app, keyed(()).metadata(), "").await), with_key);
}

/// Asks reflection once. Whether it answers.
async fn reflect(
    app: &TestApp,
    metadata: &tonic::metadata::MetadataMap,
    host: &str,
) -> Result<bool, tonic::Status> {
    let asked = ServerReflectionRequest {
        host: host.to_owned(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut request = tonic::Request::new(tokio_stream::once(asked));
    *request.metadata_mut() = metadata.clone();
    let mut answers =
        ServerReflectionClient::new(app.channel()).server_reflection_info(request).await?.into_inner();
    Ok(answers.message().await?.is_some())
}

#[tokio::test]
async fn half_sent_checks_do_not_hold_up_the_shutdown() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let mut client = connect(&app).await;
    let (_answer, _body) = begin(&mut client, CHECK, &[0, 0, 0]);
    let mut web = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST {CHECK} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\n\
         expect: 100-continue\r\ncontent-length: 10\r\n\r\n"
    );
    web.write_all(head.as_bytes()).await.unwrap();
    // The server says so once it wants the body: by then the call has begun.
    let mut wanted = [0; 25];
    web.read_exact(&mut wanted).await.unwrap();
    let began = Instant::now();
    timeout(LONG, app.stop()).await.unwrap();
    // Far from the ten seconds that calls in flight would be given.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    println!("stopped in {:?}", began.elapsed());
}
