//! The composition root: opens the store, builds the router, binds, serves until told to stop, and drains.

mod expiry;
mod workers;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use self::workers::Workers;

use crate::{
    answers::Answers,
    auth::Authenticator,
    config::ConnectionLimits,
    domain::{Clock, HeadSigner, SystemClock, SystemIds},
    grpc::Health,
    operator::{FirstKey, Operator},
    server::{self, listen, router},
    service::Service,
    store::{
        Commits, Store,
        connect::{self, Sharing},
        schema::OnOlderSchema,
    },
};

pub use crate::config::Config;

/// How much longer than a call the database may work on one of its statements.
const GRACE: Duration = Duration::from_secs(1);
/// How long the background tasks and the store may take to end after the calls.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The use cases over the database at `url`, for the command line.
///
/// # Errors
/// When the database can't be opened.
pub async fn open_database(url: &str, on_older: OnOlderSchema) -> anyhow::Result<Operator> {
    let store = connect::open(url, connect::Options::for_command(on_older)).await?;
    Ok(Operator::new(store, Arc::new(SystemClock), Arc::new(SystemIds)))
}

/// The same over a database that no server may have meanwhile, where it is a file; with a key that signs what it appends to
/// the history.
///
/// # Errors
/// When the database can't be opened.
pub async fn open_database_alone(
    url: &str,
    on_older: OnOlderSchema,
    signer: Option<Arc<HeadSigner>>,
) -> anyhow::Result<Operator> {
    let options =
        connect::Options { sharing: Sharing::Alone, signer, ..connect::Options::for_command(on_older) };
    let store = connect::open(url, options).await?;
    Ok(Operator::new(store, Arc::new(SystemClock), Arc::new(SystemIds)))
}

/// The same over a database that is only read, and not changed at all.
///
/// # Errors
/// When the database can't be opened.
pub async fn open_database_reading(url: &str) -> anyhow::Result<Operator> {
    let store = connect::open_reading(url).await?;
    Ok(Operator::new(store, Arc::new(SystemClock), Arc::new(SystemIds)))
}

/// A server that is bound, and not serving yet.
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    router: axum::Router,
    operator: Operator,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    authenticator: Authenticator,
    health: Health,
    stopping: watch::Sender<bool>,
    first_key: Option<FirstKey>,
    limits: ConnectionLimits,
    answers: Answers,
    shutdown_delay: Duration,
    drain_timeout: Duration,
}

impl App {
    /// Binds, opens the store, and makes the first key on an empty database.
    ///
    /// # Errors
    /// When the address is taken, or the database can't be opened; a line that says which.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        connect::check_url(config.database.url())?;
        let bound = listen::listen(&config.listen).await;
        let listener = bound.with_context(|| format!("can't listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let options = connect::Options {
            connections: config.database_connections(),
            on_older: config.on_older(),
            // A call is given up first, with its own error.
            statement_timeout: config.request_timeout + GRACE,
            commits: config.commits,
            sharing: Sharing::Alone,
            signer: config.audit_key.as_ref().map(|key| Arc::clone(&key.signer)),
            sink: Commits::default(),
        };
        let store = connect::open(config.database.url(), options).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let service = Service::new(Arc::clone(&store), Arc::clone(&clock), Arc::new(SystemIds));
        let operator = Operator::new(Arc::clone(&store), Arc::clone(&clock), Arc::new(SystemIds));
        let first_key = operator.bootstrap(config.first_key.secret().cloned()).await?;
        let authenticator = Authenticator::new(Arc::clone(&store), Arc::clone(&clock));
        let health = Health::serving().await;
        let (stopping, is_stopping) = watch::channel(false);
        let faces = router::Faces {
            service,
            authenticator: authenticator.clone(),
            health: &health,
            is_stopping,
            docs: !config.no_docs,
        };
        let router = router::build(faces, config.request_timeout, config.reflection, &config.allow_origins)?;
        let (shutdown_delay, drain_timeout) = (config.shutdown_delay, config.drain_timeout);
        Ok(Self {
            listener,
            address,
            router,
            operator,
            store,
            clock,
            authenticator,
            health,
            stopping,
            first_key,
            limits: config.connections,
            answers: Answers::new(config.answers),
            shutdown_delay,
            drain_timeout,
        })
    }

    /// The address that the server listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first key, when this start made it.
    pub const fn first_key(&self) -> Option<&FirstKey> {
        self.first_key.as_ref()
    }

    /// Serves until `shutdown` is done; then turns NOT_SERVING, lets calls in flight finish, and closes the store.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (background, late) = (self.background(), self.late());
        let Self { listener, router, store, health, stopping, answers, .. } = self;
        let (shutdown_delay, drain_timeout) = (self.shutdown_delay, self.drain_timeout);
        let stop = async {
            shutdown.await;
            tracing::info!("shutting down");
            stopping.send_replace(true);
            background.tell();
            health.stop().await;
            tokio::time::sleep(shutdown_delay).await;
        };
        let connections = server::accept_until(listener, router, self.limits, answers, stop).await;
        health.end_open_calls().await;
        if timeout(drain_timeout, connections.shutdown()).await.is_err() {
            tracing::warn!(?drain_timeout, "calls were still in flight and are cut off");
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        background.stop(deadline).await;
        late.stop(deadline).await;
        if timeout_at(deadline, store.close()).await.is_err() {
            tracing::warn!("the store did not close in time");
        }
        tracing::info!("stopped");
    }

    /// The workers that end when the shutdown begins.
    fn background(&self) -> Workers {
        let mut workers = Workers::new();
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        workers.periodic("idempotency_key_expiry", expiry::FIRST_AFTER, expiry::EVERY, move || {
            let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
            async move { Ok(expiry::expire(store.as_ref(), clock.as_ref()).await?) }
        });
        let operator = self.operator.clone();
        workers.spawn("adoption", move |mut stop| {
            let operator = operator.clone();
            // The next start goes on.
            async move { stop.or(operator.adopt_alerts()).await.transpose().map(drop).map_err(Into::into) }
        });
        workers
    }

    /// The workers that end after the calls: they may use keys until the last one is answered.
    fn late(&self) -> Workers {
        let mut workers = Workers::new();
        let authenticator = self.authenticator.clone();
        workers.spawn("key_use_writer", move |mut stop| {
            let authenticator = authenticator.clone();
            async move {
                authenticator.write_uses_until(stop.told()).await;
                Ok(())
            }
        });
        workers
    }
}
