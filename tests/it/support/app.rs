//! A whole server inside the test, on a port and a database of its own.

use std::{net::SocketAddr, time::Duration};

use redflag::{
    app::{App, Config},
    auth::Secret,
    grpc::pb::{
        alert_service_client::AlertServiceClient, alert_status_service_client::AlertStatusServiceClient,
        audit_service_client::AuditServiceClient,
    },
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Request,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use super::{DatabaseKind, TestDatabase};

/// The secret of every test server's first key, which may do everything.
pub const KEY: &str = "rf_test-key-that-may-do-everything-0123456789";

/// A running server.
pub struct TestApp {
    address: SocketAddr,
    channel: Channel,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    database: TestDatabase,
}

impl TestApp {
    /// Starts a server on a fresh database.
    pub async fn start(kind: DatabaseKind) -> Self {
        Self::start_with(TestDatabase::create(kind).await, |_| {}).await
    }

    /// Starts a server on `database`, with a configuration that `adjust` has changed.
    pub async fn start_with(database: TestDatabase, adjust: impl FnOnce(&mut Config)) -> Self {
        let app = App::start(&config(database.url(), adjust)).await.expect("a test server starts");
        let address = app.address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URL");
        let http = reqwest::Client::new();
        Self { address, channel: endpoint.connect_lazy(), http, stop, running, database }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its database.
    pub const fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// A plain connection, for the standard services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The calls on alerts.
    pub fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.channel())
    }

    /// The calls on statuses.
    pub fn statuses(&self) -> AlertStatusServiceClient<Channel> {
        AlertStatusServiceClient::new(self.channel())
    }

    /// The calls on the history.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel())
    }

    /// A REST request with the key that may do everything.
    pub fn rest(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(KEY)
    }

    /// A REST request without any key.
    pub fn rest_without_key(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// Tells the server to stop, and waits until it has.
    pub async fn stop(self) -> TestDatabase {
        let _ = self.stop.send(());
        self.running.await.expect("a server stops in order");
        self.database
    }
}

/// How test servers are started.
pub fn config(url: &str, adjust: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config { listen: "127.0.0.1:0".to_owned(), ..Config::default() };
    config.database.set_url(url);
    // As by default on two cores.
    config.database_connections = Some(6);
    config.first_key.bootstrap_key = Some(Secret::parse(KEY).expect("the test key is valid"));
    config.drain_timeout = Duration::from_secs(10);
    adjust(&mut config);
    config
}

/// A gRPC request with the key that may do everything.
pub fn keyed<T>(message: T) -> Request<T> {
    with_key(message, KEY)
}

/// A gRPC request with a key.
pub fn with_key<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = MetadataValue::try_from(format!("Bearer {key}")).expect("a key fits a header");
    request.metadata_mut().insert("authorization", value);
    request
}
