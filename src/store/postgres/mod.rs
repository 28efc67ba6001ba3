//! The store for more than one instance: PostgreSQL, or a database that speaks its protocol.

mod aside;
mod changes;
mod events;
mod heads;
mod lanes;
mod lists;
mod lookups;
mod memory;
mod plan;
mod rows;
mod save;
pub mod sql;
mod statuses;
mod store;
mod tenants;

use std::{
    hash::{BuildHasher, RandomState},
    io,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use self::{changes::Changer, lanes::Lane, lookups::Finder};
use super::{
    StoreError,
    connect::Options,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
};
use crate::domain::{Alert, AlertChange, AnomalyId, Answer, Changed, OrganizationId};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a call waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long the database ends a transaction whose instance has fallen silent, as when its machine is paused: it may hold
/// the lock that all changes of an organization wait for.
const SILENT_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long unused a connection is tested before it is used: the database may have been restarted.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How much longer than a statement may run its answer is waited for.
const GRACE: Duration = Duration::from_secs(1);
/// How many look-ups by key may wait for the next statement.
const LOOKUPS_WAITING: usize = 65_536;
/// How many look-ups by key share a statement at most.
const LOOKUPS_AT_ONCE: usize = 64;

/// Alerts in PostgreSQL.
pub struct PostgresStore {
    pool: PgPool,
    /// Where changes wait; each organization has its lane, so that its changes follow each other.
    changes: Vec<Lane<Arc<AlertChange>, Answer<Changed>>>,
    /// Where look-ups by key wait.
    lookups: Lane<(OrganizationId, AnomalyId), Option<Alert>>,
    hasher: RandomState,
}

impl PostgresStore {
    /// Checks that `url` is well-formed.
    ///
    /// # Errors
    /// [`OpenError::Url`].
    pub fn check_url(url: &str) -> Result<(), OpenError> {
        connect_options(url).map(drop)
    }

    /// Opens the database at `url` (`postgres://…`).
    ///
    /// # Errors
    /// When the URL is malformed, the server can't be reached, or the schema does not fit.
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        migrate(url, options.on_older).await?;
        let session = session(options);
        let limit = patience(options);
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                let session = AssertSqlSafe(session.clone());
                Box::pin(async move { sqlx::raw_sql(session).execute(connection).await.map(drop) })
            })
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, _| Box::pin(settle(connection, limit)))
            .connect_with(connect_options(url)?)
            .await?;
        Ok(Self::over(pool, options))
    }

    fn over(pool: PgPool, options: Options) -> Self {
        let Options { commits, connections, .. } = options;
        let limit = patience(options);
        // Each lane holds a connection while it works, and reads need one too.
        let most = usize::try_from(connections).unwrap_or(usize::MAX).saturating_sub(1).max(1);
        let lanes = commits.in_flight.clamp(1, most);
        let waiting = commits.waiting.div_ceil(lanes);
        let size = commits.size;
        let lane = |_| lanes::start(waiting, size, limit, Changer::new(pool.clone(), waiting, size, limit));
        let changes = (0..lanes).map(lane).collect();
        let lookups = lanes::start(LOOKUPS_WAITING, LOOKUPS_AT_ONCE, limit, Finder(pool.clone()));
        Self { pool, changes, lookups, hasher: RandomState::new() }
    }

    /// The lane of an organization's changes.
    fn lane(&self, organization: OrganizationId) -> &Lane<Arc<AlertChange>, Answer<Changed>> {
        let lanes = self.changes.len();
        let hash = usize::try_from(self.hasher.hash_one(organization) >> 32).unwrap_or_default();
        &self.changes[hash % lanes]
    }

    /// How the schema of the database at `url` compares; changes nothing.
    ///
    /// # Errors
    /// When the URL is malformed or the server can't be reached.
    pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
        SchemaVersion::read(&mut connect(url).await?, &MIGRATOR).await
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        begin(&self.pool).await
    }
}

/// How long an answer of the database is waited for.
fn patience(options: Options) -> Duration {
    options.statement_timeout + GRACE
}

/// Begins a transaction, in a task of its own: a caller that goes away while BEGIN is on its way must not leave a connection
/// in the pool on which the next caller's writes would never be committed (sqlx-postgres 0.9.0 does).
async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await });
    Ok(begun.await.map_err(|error| StoreError::Internal(error.into()))??)
}

/// Waits until the database has answered what a call that was cut off has asked it. Where it never does, as when its machine is
/// gone without a word, the connection must not keep its place in the pool. What is left are connections that are caught while
/// sqlx tests them, closes them, or begins a transaction: they keep their places until the system gives them up.
async fn settle(connection: &mut PgConnection, limit: Duration) -> Result<bool, sqlx::Error> {
    let silent = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(limit, connection.flush()).await.map_err(silent)??;
    Ok(true)
}

/// What every connection is told, whatever the server's defaults: no statement runs for ever, no transaction is left lying,
/// transactions see what others have committed (the store takes the locks it needs), and an answer comes after the commit
/// is on disk.
fn session(options: Options) -> String {
    format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET default_transaction_isolation = 'read committed'; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        options.statement_timeout.as_millis(),
        SILENT_TIMEOUT.as_millis()
    )
}

fn connect_options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
    Ok(options.application_name("redflag"))
}

async fn connect(url: &str) -> Result<PgConnection, OpenError> {
    let options = connect_options(url)?;
    let connecting = PgConnection::connect_with(&options);
    match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(OpenError::Unreachable(format!("no answer within {ACQUIRE_TIMEOUT:?}"))),
    }
}

/// Brings the schema up to date under sqlx's advisory lock, on a connection whose statements may take their time.
async fn migrate(url: &str, on_older: OnOlderSchema) -> Result<(), OpenError> {
    let mut connection = connect(url).await?;
    check_encoding(&mut connection).await?;
    let version = SchemaVersion::read(&mut connection, &MIGRATOR).await?;
    if version.needs_migration(on_older)? {
        MIGRATOR.run(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// Refuses a database that can't keep all of Unicode.
async fn check_encoding(connection: &mut PgConnection) -> Result<(), OpenError> {
    let encoding: String = sqlx::query_scalar(sql::SHOW_ENCODING).fetch_one(connection).await?;
    if encoding == "UTF8" { Ok(()) } else { Err(OpenError::Encoding(encoding)) }
}
