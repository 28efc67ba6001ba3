//! The time until redflag serves again once a standby has taken over.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use sqlx::{Connection as _, PgConnection};

use super::{NAME, tenants};
use crate::{
    callers::{Client, Flag},
    database::Postgres,
    ids::Random,
    load::Caller as _,
    process::Server,
};

/// How long to wait at most.
const LIMIT: Duration = Duration::from_mins(1);

/// Ends the server while a client flags, promotes its standby, and tells how long after that a flag was acknowledged again.
/// `None` where there is no standby.
pub async fn promotion(postgres: &Postgres) -> anyhow::Result<Option<[String; 4]>> {
    let Ok(standby) = std::env::var("TEST_STANDBY_URL") else { return Ok(None) };
    let primary = postgres.url(NAME);
    let (start, _) = primary.rsplit_once('/').context("the URL names a database")?;
    let host = standby.rsplit_once('@').and_then(|(_, place)| place.split('/').next());
    let both = format!("{start},{}/{NAME}", host.context("the URL names a host")?);
    let server = Server::redflag(&both)?;
    let key = tenants::make(&both, "moving")?;
    let mut caller = Flag::new(Client::connect_with(&server.url, &key).await?, Random::new()?);
    for _ in 0..100 {
        caller.call().await?;
    }
    let ended = Command::new("kill").args(["-QUIT", &postgres.pid.to_string()]).status()?;
    ensure!(ended.success(), "the server could not be ended");
    while caller.call().await.is_ok() {}
    let mut connection = PgConnection::connect(&standby).await?;
    let is_promoted: bool = sqlx::query_scalar("SELECT pg_promote()").fetch_one(&mut connection).await?;
    ensure!(is_promoted, "the standby was not promoted");
    let promoted = Instant::now();
    while let Err(error) = caller.call().await {
        ensure!(promoted.elapsed() < LIMIT, "not served {LIMIT:?} after the promotion: {error:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let name = "PostgreSQL: served again after the promotion of a standby".to_owned();
    Ok(Some([name, format!("{:.2} s", promoted.elapsed().as_secs_f64()), String::new(), "5 s".to_owned()]))
}
