//! The effect of one organization's load on another: `make bench-isolation`.
//!
//! A quiet organization flags, one call at a time, while a crowd of another organization does what it can. Where a call of the quiet
//! one fails, that is told instead of a figure; what the crowd is refused does not count.

mod crowd;
mod failover;
mod locked;
mod tenants;
mod together;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    callers::{Client, Flag},
    database::{Files, Postgres},
    ids::Random,
    load::{Latency, Times, closed_loop},
    machine,
    options::Options,
    process::Server,
    table::table,
};
use crowd::{Crowd, KEY_IN_USE, Noise};

/// The name of the databases.
const NAME: &str = "redflag_isolation";
/// How many alerts the crowd's organization has, for its lists.
const ALERTS: usize = 20_000;

/// The latency of the quiet organization's calls beside one kind of load.
struct Row {
    store: &'static str,
    beside: String,
    latency: Option<Latency>,
    memory_mib: f64,
    must: &'static str,
}

/// The server under test, with a key for each organization.
pub struct Place {
    store: &'static str,
    url: String,
    server: Server,
    quiet: String,
    noisy: String,
}

/// Measures all of it, and prints it.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let (postgres, files) = (Postgres::find().await?, Files::create()?);
    postgres.copy("template0", NAME).await?;
    let mut rows = Vec::new();
    let mut extra = Vec::new();
    for (store, url) in [("PostgreSQL", postgres.url(NAME)), ("SQLite", files.url(NAME))] {
        let server = Server::redflag(&url)?;
        let (quiet, noisy) = (tenants::make(&url, "quiet")?, tenants::make(&url, "noisy")?);
        let place = Place { store, url, server, quiet, noisy };
        rows.extend(measure(&place, options).await?);
        extra.push(together::swaps(&place, options).await?);
        if store == "PostgreSQL" {
            extra.extend(locked::many(&place, options).await?);
        }
    }
    extra.push(together::instances(&postgres, options).await?);
    extra.push(together::snapshot(&postgres, options).await?);
    // The server is gone afterwards.
    extra.extend(failover::promotion(&postgres).await?);
    tell(&rows, &extra, files.folder())
}

async fn measure(place: &Place, options: &Options) -> anyhow::Result<Vec<Row>> {
    let alerts = if options.quick { 2_000 } else { ALERTS };
    crowd::fill(place.client(&place.noisy).await?, alerts).await?;
    let mut rows = vec![quiet(place, options, "nothing", "1; 1").await?];
    for (noise, in_flight, must) in [
        (Noise::Lists, 64, "8"),
        (Noise::Flags, 256, "4"),
        (Noise::Flags, 1_024, "8"),
        (Noise::LargestFlags, 512, "300 ms; 350 MiB"),
    ] {
        let crowd = Crowd::start(place, noise, in_flight).await?;
        rows.push(quiet(place, options, &format!("{in_flight} {noise}"), must).await?);
        crowd.end().await;
    }
    if place.store == "PostgreSQL" {
        for (what, lock, noise) in locks() {
            let locked = hold(&place.url, &lock).await?;
            let crowd = Crowd::start(place, noise, 4).await?;
            rows.push(quiet(place, options, what, "5 (p99)").await?);
            crowd.end().await;
            locked.close().await?;
        }
    }
    Ok(rows)
}

/// What is locked past redflag, how, and what the noisy organization asks for meanwhile.
fn locks() -> [(&'static str, String, Noise); 4] {
    let of_noisy = |table: &str| {
        format!(
            "SELECT 1 FROM {table} WHERE organization_id IN (SELECT organization_id \
             FROM organizations WHERE name = 'noisy') FOR UPDATE"
        )
    };
    let key = format!(
        "INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
         SELECT organization_id, '{KEY_IN_USE}', '', '', now() FROM organizations WHERE name = 'noisy'"
    );
    [
        ("an alert that is locked", of_noisy("alerts"), Noise::FlagsAndUpdates),
        ("a status that is locked", of_noisy("alert_statuses"), Noise::FlagsAndUpdates),
        ("a head that is locked", of_noisy("event_heads"), Noise::FlagsAndUpdates),
        ("an idempotency key in use", key, Noise::FlagsUnderOneKey),
    ]
}

impl Place {
    /// A connection to the server with the key.
    pub async fn client(&self, key: &str) -> anyhow::Result<Client> {
        Client::connect_with(&self.server.url, key).await
    }
}

async fn quiet(place: &Place, options: &Options, beside: &str, must: &'static str) -> anyhow::Result<Row> {
    let caller = Flag::new(place.client(&place.quiet).await?, Random::new()?);
    let times = Times { warm_up: options.warm_up(), span: options.span() };
    let load = closed_loop(vec![caller], times).await;
    let load =
        load.inspect_err(|error| eprintln!("{}, beside {beside}: a call failed: {error:#}", place.store));
    let latency = load.ok().and_then(|load| load.latency);
    let memory_mib = place.server.resident_kib()? / 1_024.0;
    eprintln!("{}, beside {beside}: {latency:?}", place.store);
    Ok(Row { store: place.store, beside: beside.to_owned(), latency, memory_mib, must })
}

/// Holds a lock past redflag.
async fn hold(url: &str, statement: &str) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await?;
    let statement = AssertSqlSafe(format!("BEGIN; {statement}"));
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    Ok(connection)
}

fn tell(rows: &[Row], extra: &[[String; 4]], folder: &std::path::Path) -> anyhow::Result<()> {
    let alone = |row: &Row| rows.iter().find(|other| other.store == row.store).and_then(|row| row.latency);
    let line = |row: &Row| {
        let (own, alone) = (row.latency, alone(row));
        let millis = |pick: fn(Latency) -> f64| {
            own.map_or_else(|| "failed".to_owned(), |own| format!("{:.2}", pick(own)))
        };
        let ratio = |pick: fn(Latency) -> f64| {
            own.zip(alone).map_or_else(String::new, |(own, alone)| format!("{:.1}", pick(own) / pick(alone)))
        };
        [
            format!("{}, beside {}", row.store, row.beside),
            millis(|latency| latency.p50),
            ratio(|latency| latency.p50),
            millis(|latency| latency.p99),
            ratio(|latency| latency.p99),
            format!("{:.0}", row.memory_mib),
            row.must.to_owned(),
        ]
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    let headings =
        ["A flag of a quiet organization", "p50 ms", "÷ alone", "p99 ms", "÷ alone", "MiB", "must"];
    println!("{}", table(headings, &lines));
    println!("{}", table(["Together", "with", "without", "ratio; must"], extra));
    for (name, value) in machine::describe(folder)? {
        println!("{name}: {value}");
    }
    Ok(())
}
