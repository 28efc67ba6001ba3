//! Many alerts: what pages, calls and starts cost when a database holds millions. `make bench-scale`.
//!
//! The alerts are written by the databases themselves, past redflag; their histories are long enough, but their hashes are
//! random: `redflag audit verify` would rightly refuse them.

mod filters;
mod pages;
mod postgres;
mod report;
mod shape;
mod sqlite;

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use crate::{
    callers::{Client, Flag, Get, Update},
    database::{Files, Postgres},
    ids::Random,
    load::{Load, Times, closed_loop},
    machine,
    options::{Options, Scale},
    process::Server,
};
use pages::Pages;
use shape::Shape;

/// The name of both databases.
const NAME: &str = "redflag_scale";
/// How many calls are in flight.
const IN_FLIGHT: usize = 64;
/// Of how many alerts one is read or changed, whichever.
const SAMPLED: u64 = 50_000;
/// Who has closed what is closed.
const CLOSED_BY: &str = r#"{"key_id": "key_00000000-0000-0000-0000-000000000000", "key_name": "bootstrap", "on_behalf_of": null}"#;
/// How many characters an event's changes have: as many as those of the flags that are measured.
const CHANGES: usize = 663;

/// What was measured on one database.
struct Outcome {
    store: &'static str,
    bytes: u64,
    seconds: f64,
    start_ms: f64,
    memory_mib: [f64; 2],
    flag: Load,
    get: Load,
    update: Load,
    pages: Pages,
}

/// Fills both databases, measures, and tells the outcome.
pub async fn run(options: &Options, scale: Scale) -> anyhow::Result<()> {
    let (postgres, files) = (Postgres::find().await?, Files::create()?);
    let shape = Shape { alerts: scale.alerts, begin: a_year_ago() };
    let outcomes =
        [measure_postgres(&postgres, shape, options).await?, measure_sqlite(&files, shape, options).await?];
    let mut machine = machine::describe(files.folder())?;
    machine.push(("PostgreSQL", postgres.version));
    report::tell(scale, &outcomes, &machine)
}

async fn measure_postgres(postgres: &Postgres, shape: Shape, options: &Options) -> anyhow::Result<Outcome> {
    postgres.copy("template0", NAME).await?;
    drop(Server::redflag(&postgres.url(NAME))?);
    let begun = Instant::now();
    let organization = postgres::fill(postgres, NAME, shape).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut connection = postgres.connect(NAME).await?;
    let sample = format!(
        "SELECT anomaly_id FROM alerts TABLESAMPLE BERNOULLI ({}) WHERE organization_id = '{organization}'",
        100.0 / every(shape)
    );
    let ids: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sample)).fetch_all(&mut connection).await?;
    let size = "SELECT pg_database_size(current_database())";
    let bytes: i64 = sqlx::query_scalar(size).fetch_one(&mut connection).await?;
    connection.close().await?;
    let filled =
        Filled { store: "PostgreSQL", url: postgres.url(NAME), ids, bytes: bytes.cast_unsigned(), seconds };
    let outcome = filled.measure(options).await?;
    // Both databases together may be more than the disk holds.
    postgres.discard(NAME).await?;
    Ok(outcome)
}

async fn measure_sqlite(files: &Files, shape: Shape, options: &Options) -> anyhow::Result<Outcome> {
    drop(Server::redflag(&files.url(NAME))?);
    let begun = Instant::now();
    let organization = sqlite::fill(files, NAME, shape).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut connection = files.connect(NAME).await?;
    let sample = format!(
        "SELECT anomaly_id FROM alerts WHERE rowid % {} = 0 AND organization_id = x'{}'",
        every(shape),
        organization.simple()
    );
    let ids: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sample)).fetch_all(&mut connection).await?;
    connection.close().await?;
    let bytes = std::fs::metadata(files.path(NAME))?.len();
    let filled = Filled { store: "SQLite", url: files.url(NAME), ids, bytes, seconds };
    filled.measure(options).await
}

/// One alert of how many is sampled.
fn every(shape: Shape) -> f64 {
    crate::load::count((shape.alerts / SAMPLED).max(1))
}

#[expect(clippy::disallowed_methods, reason = "the alerts are as old as the day they are made")]
fn a_year_ago() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default() - 366 * 24 * 3_600 * 1_000_000
}

/// A database with its alerts in it.
struct Filled {
    store: &'static str,
    url: String,
    ids: Vec<Uuid>,
    bytes: u64,
    seconds: f64,
}

impl Filled {
    async fn measure(self, options: &Options) -> anyhow::Result<Outcome> {
        let Self { store, url, ids, bytes, seconds } = self;
        let ids: Arc<[String]> = ids.iter().map(|id| format!("ano_{id}")).collect();
        // Once so that the files are known to the system, as after a restart of redflag alone.
        drop(Server::redflag(&url)?);
        let server = Server::redflag(&url)?;
        let start_ms = 1_000.0 * server.started_in.as_secs_f64();
        let memory_after_start = server.resident_kib()? / 1_024.0;
        eprintln!("{store}: started in {start_ms:.0} ms; reading pages");
        let pages = pages::measure(&server).await?;
        eprintln!("{store}: calling");
        let times = Times { warm_up: options.warm_up(), span: options.span() };
        let mut random = Random::new()?;
        let clients = || Client::connect_many(&server.url, IN_FLIGHT);
        let get = clients().await?.into_iter();
        let get = get.map(|client| Get { client, random: random.fork(), alerts: Arc::clone(&ids) });
        let get = closed_loop(get.collect(), times).await?;
        let update = clients().await?.into_iter();
        let update = update.map(|client| Update { client, random: random.fork(), alerts: Arc::clone(&ids) });
        let update = closed_loop(update.collect(), times).await?;
        let flag = clients().await?.into_iter().map(|client| Flag::new(client, random.fork()));
        let flag = closed_loop(flag.collect(), times).await?;
        let memory_mib = [memory_after_start, server.resident_kib()? / 1_024.0];
        Ok(Outcome { store, bytes, seconds, start_ms, memory_mib, flag, get, update, pages })
    }
}
