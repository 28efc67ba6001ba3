//! A database that falls silent, or takes no more writes, seen from outside: calls are served again within seconds.

use std::time::{Duration, Instant};

use redflag::{
    app::Config,
    grpc::pb::{FlagEntityRequest, ListAlertStatusesRequest},
};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    DatabaseKind, TestApp, TestDatabase, keyed, outage,
    way::{Trap, Way},
};

/// Less than a call may take, and more than it takes to be served again, on a busy machine too.
const SOON: Duration = Duration::from_secs(25);

/// Asks until the answer is `expected`, and fails when that is not soon.
async fn until(what: &str, expected: u16, ask: impl AsyncFn(u32) -> u16) {
    let started = Instant::now();
    let served = async {
        let mut count = 0;
        loop {
            let status = ask(count).await;
            if status == expected {
                return;
            }
            assert_eq!(status, 503, "{what}");
            count += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, served)
        .await
        .unwrap_or_else(|_| panic!("{what} after {:?}", started.elapsed()));
}

/// The status of a REST answer.
async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_every_kind_are_served_again_after_a_database_has_fallen_silent() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    let way = Way::to(database.url()).await;
    let url = way.url(database.url());
    let app = TestApp::start_with(database, |config: &mut Config| config.database.set_url(&url)).await;
    // Not known, so that each is looked up.
    let key = |round: &str, count| format!("rf_a-key-that-nobody-has-{round}-0123456789-{count}");
    let all = async |round: &str| {
        let list = until("a list", 200, async |_| status(app.rest(Method::GET, "/alerts")).await);
        let statuses =
            until("statuses", 200, async |_| status(app.rest(Method::GET, "/alerts/statuses")).await);
        let change = until("a change of statuses", 201, async |count| {
            let body = json!({ "name": format!("Odd {round} {count}"), "colour": "#3B82F6" });
            status(app.rest(Method::POST, "/alerts/statuses").json(&body)).await
        });
        let keys = until("a key", 401, async |count| {
            let request = app.rest_without_key(Method::GET, "/alerts").bearer_auth(key(round, count));
            status(request).await
        });
        let grpc = until("statuses by gRPC", 200, async |_| {
            let answer = app.statuses().list_alert_statuses(keyed(ListAlertStatusesRequest::default())).await;
            if answer.is_ok() { 200 } else { 503 }
        });
        tokio::join!(list, statuses, change, keys, grpc);
    };
    all("before").await;
    way.set(Trap::Message);
    all("after").await;
    way.caught().await;
    let flag = FlagEntityRequest {
        entity_id: "txn_1".to_owned(),
        description: "odd".to_owned(),
        ..FlagEntityRequest::default()
    };
    app.alerts().flag_entity(keyed(flag)).await.unwrap();
}

/// Nothing but statuses is changed: they must find out by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_are_changed_again_after_the_database_took_no_writes() {
    let app = TestApp::start(DatabaseKind::Postgres).await;
    let change = async |count: u32| {
        let body = json!({ "name": format!("Odd {count}"), "colour": "#3B82F6" });
        status(app.rest(Method::POST, "/alerts/statuses").json(&body)).await
    };
    assert_eq!(change(0).await, 201);
    outage::make_read_only(app.database().url()).await;
    // For longer than connections are asked because they were cut.
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        assert_eq!(change(1).await, 503);
    }
    outage::make_writable(app.database().url()).await;
    until("a change of statuses", 201, async |count| change(2 + count).await).await;
}

/// More servers are gone than may be tried while somebody waits for readiness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_knows_which_of_several_servers_answers() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    // They take connections and say nothing.
    let gone: Vec<_> = (0..4).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: Vec<_> = gone.iter().map(|gone| gone.local_addr().unwrap().to_string()).collect();
    let url = database.url().replacen('@', &format!("@{},", hosts.join(",")), 1);
    let url = format!("{url}{}connect_timeout=1", if url.contains('?') { '&' } else { '?' });
    let app = TestApp::start_with(database, |config: &mut Config| config.database.set_url(&url)).await;
    assert_eq!(status(app.rest_without_key(Method::GET, "/readyz")).await, 200);
    assert_eq!(status(app.rest(Method::GET, "/alerts")).await, 200);
}
