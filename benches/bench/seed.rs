//! The databases that every measure begins with: made by redflag itself, with some alerts in them.

use std::sync::Arc;

use anyhow::Context as _;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::{
    callers::{Client, DESCRIPTION, Flag, Get, List, TITLE},
    database::{Files, Postgres},
    ids::Random,
    load::{self, Caller as _},
    process::Server,
};

/// The name of both databases.
pub const SEED: &str = "redflag_seed";
/// How many calls make the alerts at once.
const IN_FLIGHT: usize = 50;

/// What is known about the databases.
pub struct Seed {
    /// The alerts in PostgreSQL.
    pub postgres: Arc<[String]>,
    /// The alerts in the file.
    pub sqlite: Arc<[String]>,
    /// What pgbench needs to do the same.
    pub statements: Statements,
}

/// What redflag asks PostgreSQL, and what it writes.
pub struct Statements {
    pub organization: Uuid,
    pub key: Uuid,
    /// How one alert is read: `$1` organization, `$2` alert.
    pub get: String,
    /// How the first page of a list is read: `$1`, and perhaps more, the organization.
    pub list: String,
    pub title: String,
    pub description: String,
    /// What an event tells.
    pub changes: String,
}

impl Seed {
    /// Makes both databases, each with `alerts` alerts.
    pub async fn plant(postgres: &Postgres, files: &Files, alerts: usize) -> anyhow::Result<Self> {
        postgres.copy("template0", SEED).await?;
        let server = Server::redflag(&postgres.url(SEED))?;
        let in_postgres = flag(&server, alerts).await?;
        let statements = Statements::spy(postgres, &server, &in_postgres).await?;
        drop(server);
        let mut connection = postgres.connect(SEED).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
        connection.close().await?;
        let server = Server::redflag(&files.url(SEED))?;
        let sqlite = flag(&server, alerts).await?;
        Ok(Self { postgres: in_postgres, sqlite, statements })
    }
}

async fn flag(server: &Server, alerts: usize) -> anyhow::Result<Arc<[String]>> {
    let mut random = Random::new()?;
    let clients = Client::connect_many(&server.url, IN_FLIGHT).await?;
    let callers = clients.into_iter().map(|client| Flag::keeping(client, random.fork())).collect();
    let callers = load::each(callers, alerts / IN_FLIGHT).await?;
    Ok(callers.into_iter().flat_map(Flag::made).collect())
}

impl Statements {
    /// Calls once, and looks at what PostgreSQL was asked.
    async fn spy(postgres: &Postgres, server: &Server, alerts: &Arc<[String]>) -> anyhow::Result<Self> {
        let client = Client::connect(&server.url).await?;
        let random = Random::new()?;
        Get { client: client.clone(), random, alerts: Arc::clone(alerts) }.call().await?;
        let get = postgres.latest_statement(SEED, "SELECT%FROM unnest(%JOIN alerts a ON%").await;
        let get = of_one(&get.context("how redflag reads alerts")?)?;
        List { client }.call().await?;
        let list = "%FROM alerts d%LIMIT 51%JOIN alerts a%";
        let list = postgres.latest_statement(SEED, list).await.context("how redflag reads a page")?;
        let written = "SELECT organization_id, key_id, changes FROM alert_events LIMIT 1";
        let (organization, key, changes) =
            sqlx::query_as(written).fetch_one(&mut postgres.connect(SEED).await?).await?;
        let [title, description] = [TITLE, DESCRIPTION].map(str::to_owned);
        Ok(Self { organization, key, get, list, title, description, changes })
    }
}

/// The statement that reads one alert, where redflag's own reads as many as are asked for at the same time.
fn of_one(get: &str) -> anyhow::Result<String> {
    let (columns, _) = get.split_once(" FROM unnest(").context("where the columns end")?;
    Ok(format!("{columns} FROM alerts a WHERE a.organization_id = $1 AND a.anomaly_id = $2"))
}
