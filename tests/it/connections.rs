//! Places for connections, and how long they last.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use redflag::app::Config;
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{
    DatabaseKind, TestApp, TestDatabase,
    app::KEY,
    keys::{beside, make_key},
};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// A request that no key is needed for.
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

async fn start(adjust: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::start_with(TestDatabase::create(DatabaseKind::Sqlite).await, adjust).await
}

/// Connects from the last byte of a loopback address.
async fn connect_from(from: u8, app: &TestApp) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(Ipv4Addr::new(127, 0, 0, from).into(), 0)).unwrap();
    socket.connect(app.address()).await.unwrap()
}

/// Sends a request and reads the first of what comes back; nothing where the connection ends.
async fn ask(connection: &mut TcpStream, request: &str) -> String {
    // The server may have closed it already, and may have answered before.
    let _ = connection.write_all(request.as_bytes()).await;
    let mut answer = [0; 4096];
    let read = timeout(LONG, connection.read(&mut answer)).await.expect("an answer comes, or the end");
    String::from_utf8_lossy(&answer[..read.unwrap_or_default()]).into_owned()
}

/// Waits for the end of a connection.
async fn ends(connection: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = timeout(LONG, connection.read_to_end(&mut rest)).await.expect("the connection ends");
}

#[tokio::test]
async fn an_address_has_its_share_of_the_connections() {
    let app = start(|config| config.connections.per_address = 3).await;
    let mut mine = Vec::new();
    for _ in 0..3 {
        let mut connection = connect_from(2, &app).await;
        assert!(ask(&mut connection, HEALTH).await.starts_with("HTTP/1.1 200"));
        mine.push(connection);
    }
    let refused = ask(&mut connect_from(2, &app).await, "").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("GEN_UNAVAILABLE"), "{refused}");
    let other = ask(&mut connect_from(3, &app).await, HEALTH).await;
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    // A place that is left can be taken.
    drop(mine.pop());
    for _ in 0..200 {
        if ask(&mut connect_from(2, &app).await, HEALTH).await.starts_with("HTTP/1.1 200") {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the place is not given back");
}

#[tokio::test]
async fn strangers_that_are_silent_make_room_and_those_with_a_key_stay() {
    let app = start(|config| {
        config.connections.total = 5;
        config.connections.per_address = 0;
    })
    .await;
    let keyed = format!("GET /alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n");
    let mut known = connect_from(2, &app).await;
    assert!(ask(&mut known, &keyed).await.starts_with("HTTP/1.1 200"));
    let mut strangers = Vec::new();
    for _ in 0..20 {
        strangers.push(connect_from(3, &app).await);
    }
    let mut other = connect_from(4, &app).await;
    assert!(ask(&mut other, &keyed).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut known, &keyed).await.starts_with("HTTP/1.1 200"), "a known connection stays");
    ends(&mut strangers[0]).await;
}

#[tokio::test]
async fn idle_connections_of_the_organization_with_most_make_room_for_another() {
    let app = start(|config| config.connections.total = 4).await;
    let service = beside(&app).await;
    service.create_organization("other").await.unwrap();
    let (_, other) = make_key(&service, "other", &["*"], None).await;
    let list = |key: &str| format!("GET /alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    let mut first = connect_from(4, &app).await;
    assert!(ask(&mut first, &list(&other)).await.starts_with("HTTP/1.1 200"));
    let mut many = Vec::new();
    for _ in 0..3 {
        let mut connection = connect_from(2, &app).await;
        assert!(ask(&mut connection, &list(KEY)).await.starts_with("HTTP/1.1 200"));
        many.push(connection);
    }
    let mut new = connect_from(5, &app).await;
    assert!(ask(&mut new, &list(&other)).await.starts_with("HTTP/1.1 200"), "there is a place");
    ends(&mut many[0]).await;
    for connection in [&mut first, &mut new] {
        assert!(ask(connection, &list(&other)).await.starts_with("HTTP/1.1 200"));
    }
    assert!(ask(&mut many[2], &list(KEY)).await.starts_with("HTTP/1.1 200"), "others of it stay");
}

#[tokio::test]
async fn connections_with_a_call_in_work_are_not_closed_for_others() {
    let app = start(|config| config.connections.total = 2).await;
    let head = format!(
        "POST /alerts/flag/bln_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 24\r\n\r\n"
    );
    let mut working = [connect_from(2, &app).await, connect_from(3, &app).await];
    for connection in &mut working {
        // The server says so once it wants the body: by then the call has begun.
        assert!(ask(connection, &head).await.starts_with("HTTP/1.1 100"));
    }
    let refused = ask(&mut connect_from(4, &app).await, "").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    for connection in &mut working {
        assert!(ask(connection, r#"{"description": "slow" }"#).await.starts_with("HTTP/1.1 201"));
    }
}

#[tokio::test]
async fn an_idle_connection_lasts_as_long_as_is_set() {
    let app = start(|config| config.connections.idle = Duration::from_millis(1_500)).await;
    let mut connection = connect_from(2, &app).await;
    assert!(ask(&mut connection, HEALTH).await.starts_with("HTTP/1.1 200"));
    let idle_since = Instant::now();
    ends(&mut connection).await;
    assert!(idle_since.elapsed() >= Duration::from_millis(1_400), "{:?}", idle_since.elapsed());
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_over_http1() {
    let app = start(|config| config.connections.max_age = Duration::from_secs(2)).await;
    let mut connection = connect_from(2, &app).await;
    let answer = ask(&mut connection, HEALTH).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("connection: close"), "{answer}");
    ends(&mut connection).await;
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_over_http2_and_its_call_is_answered() {
    let app = start(|config| config.connections.max_age = Duration::from_secs(2)).await;
    let socket = connect_from(2, &app).await;
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let ended = tokio::spawn(connection);
    let request = http::Request::post(app.url("/alerts/flag/bln_1"))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json");
    let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    // The call is in work when the connection grows old.
    sleep(Duration::from_secs(3)).await;
    body.send_data(r#"{"description": "sent slowly"}"#.into(), true).unwrap();
    assert_eq!(timeout(LONG, answer).await.unwrap().unwrap().status(), 201);
    drop((client, body));
    timeout(LONG, ended).await.expect("the connection ends").unwrap().unwrap();
    let answer = app.rest(reqwest::Method::GET, "/alerts").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[rstest]
#[case::none("")]
#[case::two("host: a\r\nhost: a\r\n")]
#[case::malformed("host: a b\r\n")]
#[case::user("host: me@a\r\n")]
#[tokio::test]
async fn a_request_names_its_host_once(#[case] hosts: &str) {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let request = |more: &str| format!("GET /healthz HTTP/1.1\r\n{hosts}{more}\r\n");
    let answer = ask(&mut connect_from(2, &app).await, &request("")).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("GEN_MALFORMED_REQUEST"), "{answer}");
    let answer =
        ask(&mut connect_from(2, &app).await, &request("content-type: application/grpc-web\r\n")).await;
    assert!(answer.contains("grpc-status: 3"), "{answer}");
}

#[rstest]
#[case("HTTP/1.1\r\nhost: [::1]:8080")]
#[case("HTTP/1.1\r\nhost:")]
#[case("HTTP/1.0")]
#[tokio::test]
async fn a_host_may_be_an_address_or_empty_or_missing_over_http_1_0(#[case] rest: &str) {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let answer = ask(&mut connect_from(2, &app).await, &format!("GET /healthz {rest}\r\n\r\n")).await;
    assert!(answer.contains(" 200 OK"), "{answer}");
}
