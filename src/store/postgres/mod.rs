//! The store for more than one instance: PostgreSQL, or a database that speaks its protocol.

mod alerts;
mod lists;
mod rows;
pub mod sql;
mod statuses;
mod store;
mod tenants;

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    StoreError,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a call waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the database works on one statement; no caller waits longer than this.
const STATEMENT_TIMEOUT: &str = "30s";
/// After how long unused a connection is tested before it is used: the database may have been restarted.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Alerts in PostgreSQL.
pub struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    /// Opens the database at `url` (`postgres://…`) with at most `connections` connections.
    ///
    /// # Errors
    /// When the URL is malformed, the server can't be reached, or the schema does not fit.
    pub async fn open(url: &str, connections: u32, on_older: OnOlderSchema) -> Result<Self, OpenError> {
        let options = options(url)?.options([("statement_timeout", STATEMENT_TIMEOUT)]);
        migrate(url, on_older).await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// How the schema of the database at `url` compares; changes nothing.
    ///
    /// # Errors
    /// When the URL is malformed or the server can't be reached.
    pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
        SchemaVersion::read(&mut connect(url).await?, &MIGRATOR).await
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }
}

fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
    Ok(options.application_name("redflag"))
}

async fn connect(url: &str) -> Result<sqlx::PgConnection, OpenError> {
    let options = options(url)?;
    let connecting = sqlx::PgConnection::connect_with(&options);
    match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(OpenError::Unreachable(format!("no answer within {ACQUIRE_TIMEOUT:?}"))),
    }
}

/// Brings the schema up to date under sqlx's advisory lock, on a connection whose statements may take their time.
async fn migrate(url: &str, on_older: OnOlderSchema) -> Result<(), OpenError> {
    let mut connection = connect(url).await?;
    let version = SchemaVersion::read(&mut connection, &MIGRATOR).await?;
    if version.needs_migration(on_older)? {
        MIGRATOR.run(&mut connection).await?;
    }
    Ok(connection.close().await?)
}
