//! The store for more than one instance: PostgreSQL, or a database that speaks its protocol.

mod address;
mod adoption;
mod alerts;
mod changes;
mod connections;
mod contended;
mod database;
mod head_cache;
mod idempotency_keys;
mod keys;
mod lanes;
mod lent;
mod lists;
mod lookups;
mod organizations;
mod plan;
mod pulse;
mod rows;
mod save;
mod save_statement;
mod servers;
pub mod sql;
mod statuses;
mod wake;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, Executor, PgConnection, Row, migrate::Migrator};
use tokio::{sync::Mutex, time::timeout};

use self::{
    address::Address, changes::Changes, connections::Connections, lookups::LookUps, servers::Servers,
};
use super::{
    Store, StoreError,
    options::Options,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
};
use crate::domain::{IdSource, SystemClock, SystemIds};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// How often two connections are asked which process of the database serves them.
const ASKED_FOR_PROCESS: usize = 5;
/// How long the database may take to say whether it serves calls, once it is connected to.
const READY_TIMEOUT: Duration = Duration::from_secs(3);

/// Alerts in PostgreSQL.
pub struct PostgresStore {
    connections: Connections,
    servers: Servers,
    /// The queue of changes.
    changes: Changes,
    /// The queue of look-ups by key.
    lookups: LookUps,
    /// Asks whether the database serves calls: a connection of its own, so that whatever else is asked leaves it free.
    readiness: Mutex<Option<PgConnection>>,
}

impl PostgresStore {
    /// Checks that `url` is well-formed.
    ///
    /// # Errors
    /// [`OpenError::Url`].
    pub fn check_url(url: &str) -> Result<(), OpenError> {
        Address::parse(url).map(drop)
    }

    /// Opens the database at `url` (`postgres://…`).
    ///
    /// # Errors
    /// When the URL is malformed, the server can't be reached, or the schema does not fit.
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let servers = servers(url)?;
        migrate(&servers, options.on_older).await?;
        Ok(Self::over(servers, options))
    }

    fn over(servers: Servers, options: Options) -> Self {
        let connections = usize::try_from(options.connections).unwrap_or(usize::MAX);
        // Reads need a connection too.
        let in_flight = options.commits.in_flight.clamp(1, connections.saturating_sub(1).max(1));
        let connections = Connections::open(servers.clone(), &options, in_flight);
        Self {
            changes: changes::start(
                connections.clone(),
                options.commits,
                in_flight,
                options.signer,
                options.sink,
            ),
            lookups: lookups::start(connections.clone()),
            connections,
            servers,
            readiness: Mutex::new(None),
        }
    }

    /// How the schema of the database at `url` compares; changes nothing.
    ///
    /// # Errors
    /// When the URL is malformed or the server can't be reached.
    pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
        SchemaVersion::read(&mut servers(url)?.connect().await?, &MIGRATOR).await
    }

    /// The same connection, where it leads to a database that serves calls. Otherwise the others are asked too.
    async fn check_on(&self, mut connection: PgConnection) -> Result<PgConnection, StoreError> {
        let checked = timeout(READY_TIMEOUT, check(&mut connection)).await;
        let silent = |_| Err(StoreError::Unavailable("the database does not answer".into()));
        checked.unwrap_or_else(silent).inspect_err(|_| self.servers.suspect())?;
        Ok(connection)
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn check(&self) -> Result<(), StoreError> {
        if self.connections.is_closed() {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        let mut kept = self.readiness.lock().await;
        // The kept connection may lead to a server that is there no more, or takes no more writes.
        if let Some(connection) = kept.take()
            && let Ok(connection) = self.check_on(connection).await
        {
            *kept = Some(connection);
            return Ok(());
        }
        let fresh = self.servers.connect().await.map_err(|error| unavailable(&error))?;
        *kept = Some(self.check_on(fresh).await?);
        Ok(())
    }

    async fn close(&self) {
        self.changes.close().await;
        self.lookups.close().await;
        self.connections.close().await;
    }
}

fn servers(url: &str) -> Result<Servers, OpenError> {
    Servers::new(Address::parse(url)?, SystemIds.next(crate::domain::Clock::now(&SystemClock)))
}

fn unavailable(error: &OpenError) -> StoreError {
    StoreError::Unavailable(error.to_string().into())
}

async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let version = SchemaVersion::read(connection, &MIGRATOR).await;
    version.map_err(|error| unavailable(&error))?.check_current()?;
    if !servers::takes_writes(connection).await? {
        return Err(StoreError::Unavailable("the database takes no writes".into()));
    }
    Ok(())
}

/// Brings the schema up to date under sqlx's advisory lock, on a connection whose statements may take their time.
async fn migrate(servers: &Servers, on_older: OnOlderSchema) -> Result<(), OpenError> {
    let mut connection = servers.connect().await?;
    refuse_shared_sessions(&mut connection, servers).await?;
    check_encoding(&mut connection).await?;
    let version = SchemaVersion::read(&mut connection, &MIGRATOR).await?;
    if version.needs_migration(on_older)? {
        MIGRATOR.run(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// Refuses a pooler that gives each transaction another connection of its own, such as pgbouncer in transaction mode: what a
/// session is told, and the statements that it keeps, would be others'. Two connections that are open at once lead to two
/// processes of the database, and each stays with its own, unless such a pooler is in between; a busy one may show it late.
async fn refuse_shared_sessions(connection: &mut PgConnection, servers: &Servers) -> Result<(), OpenError> {
    let mut second = servers.connect().await?;
    let processes = (backend(connection).await?, backend(&mut second).await?);
    let mut is_shared = processes.0 == processes.1;
    for _ in 1..ASKED_FOR_PROCESS {
        is_shared |= processes != (backend(connection).await?, backend(&mut second).await?);
    }
    second.close().await?;
    if is_shared { Err(OpenError::SharedSessions) } else { Ok(()) }
}

/// The process of the database that serves the connection; without a statement that is kept.
async fn backend(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    connection.fetch_one(sqlx::raw_sql(sql::BACKEND)).await?.try_get(0)
}

/// Refuses a database that can't keep all of Unicode.
async fn check_encoding(connection: &mut PgConnection) -> Result<(), OpenError> {
    let encoding: String = sqlx::query_scalar(sql::SHOW_ENCODING).fetch_one(connection).await?;
    if encoding == "UTF8" { Ok(()) } else { Err(OpenError::Encoding(encoding)) }
}
