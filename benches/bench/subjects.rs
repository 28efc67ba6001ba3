//! Who is measured, up and running on databases that begin the same in every round.

use std::sync::Arc;

use anyhow::{bail, ensure};

use crate::{
    callers::{Client, Flag, Get, List, Update},
    database::{Files, Postgres, Rows, count_postgres, count_sqlite},
    ids::Random,
    load::{Load, Times, closed_loop},
    pgbench::{INSERTS, Pgbench},
    plan::{Call, Key, Subject},
    process::Server,
    rest::RestFlag,
    seed::{SEED, Seed},
};

/// The name of both databases that servers are measured on.
const MEASURED: &str = "redflag_measured";

/// Everything that a round needs.
pub struct Ground {
    pub postgres: Postgres,
    pub files: Files,
    pub seed: Seed,
    pub pgbench: Pgbench,
}

/// Where a subject keeps what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Nothing,
    Postgres(&'static str),
    Sqlite,
}

/// One subject, ready.
pub struct Running<'g> {
    ground: &'g Ground,
    subject: Subject,
    keeps: Keeps,
    /// None is ours to start for pgbench.
    server: Option<Server>,
    rows_before: Option<Rows>,
    flagged: u64,
    updated: u64,
}

impl Ground {
    /// Starts a subject.
    pub async fn start(&self, subject: Subject) -> anyhow::Result<Running<'_>> {
        let keeps = match subject {
            Subject::Echo => Keeps::Nothing,
            Subject::Pgbench => Keeps::Postgres(INSERTS),
            Subject::NaivePostgres | Subject::Postgres | Subject::SigningPostgres => {
                Keeps::Postgres(MEASURED)
            }
            Subject::NaiveSqlite | Subject::Sqlite | Subject::SigningSqlite => Keeps::Sqlite,
        };
        match keeps {
            Keeps::Nothing => {}
            Keeps::Postgres(INSERTS) => self.pgbench.renew().await?,
            Keeps::Postgres(name) => self.postgres.copy(SEED, name).await?,
            Keeps::Sqlite => self.files.copy(SEED, MEASURED).await?,
        }
        let signing = |url: &str| Server::redflag_signing(url, &self.files.audit_key()?);
        let server = match subject {
            Subject::Pgbench => None,
            Subject::Echo => Some(Server::own(&["echo"])?),
            Subject::NaiveSqlite => Some(Server::own(&["naive", &self.files.url(MEASURED)])?),
            Subject::NaivePostgres => Some(Server::own(&["naive", &self.postgres.url(MEASURED)])?),
            Subject::Sqlite => Some(Server::redflag(&self.files.url(MEASURED))?),
            Subject::Postgres => Some(Server::redflag(&self.postgres.url(MEASURED))?),
            Subject::SigningSqlite => Some(signing(&self.files.url(MEASURED))?),
            Subject::SigningPostgres => Some(signing(&self.postgres.url(MEASURED))?),
        };
        let mut running =
            Running { ground: self, subject, keeps, server, rows_before: None, flagged: 0, updated: 0 };
        running.rows_before = running.rows().await?;
        Ok(running)
    }
}

impl Running<'_> {
    /// Takes one measure.
    pub async fn measure(&mut self, key: Key, times: Times) -> anyhow::Result<Load> {
        if matches!(self.keeps, Keeps::Postgres(_)) {
            self.ground.postgres.checkpoint().await?;
        }
        let load = match &self.server {
            None => self.ground.pgbench.run(key, times.span).await?,
            Some(server) => self.load(server, key, times).await?,
        };
        match key.call {
            Call::Flag | Call::RestFlag => self.flagged += load.acknowledged,
            Call::Update => self.updated += load.acknowledged,
            Call::Get | Call::List => {}
        }
        Ok(load)
    }

    async fn load(&self, server: &Server, key: Key, times: Times) -> anyhow::Result<Load> {
        let mut random = Random::new()?;
        if key.call == Call::RestFlag {
            let mut callers = Vec::new();
            for _ in 0..key.in_flight {
                callers.push(RestFlag::connect(server.authority(), random.fork()).await?);
            }
            return closed_loop(callers, times).await;
        }
        let clients = Client::connect_many(&server.url, key.in_flight).await?.into_iter();
        let alerts = || match self.keeps {
            Keeps::Sqlite => Arc::clone(&self.ground.seed.sqlite),
            _ => Arc::clone(&self.ground.seed.postgres),
        };
        match key.call {
            Call::Flag => {
                closed_loop(clients.map(|client| Flag::new(client, random.fork())).collect(), times).await
            }
            Call::Get => {
                let get = |client| Get { client, random: random.fork(), alerts: alerts() };
                closed_loop(clients.map(get).collect(), times).await
            }
            Call::Update => {
                let update = |client| Update { client, random: random.fork(), alerts: alerts() };
                closed_loop(clients.map(update).collect(), times).await
            }
            Call::List => closed_loop(clients.map(|client| List { client }).collect(), times).await,
            Call::RestFlag => bail!("REST has connections of its own"),
        }
    }

    /// Stops the subject, and counts whether everything is there that it acknowledged.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.server = None;
        let (Some(before), Some(after)) = (self.rows_before, self.rows().await?) else {
            return Ok(());
        };
        let (flagged, updated) = (i64::try_from(self.flagged)?, i64::try_from(self.updated)?);
        let (alerts, events) = (after.alerts - before.alerts, after.events - before.events);
        ensure!(
            alerts >= flagged && events >= flagged + updated,
            "{} has acknowledged {flagged} alerts and {updated} changes; {alerts} alerts and {events} events are there",
            self.subject
        );
        Ok(())
    }

    async fn rows(&self) -> anyhow::Result<Option<Rows>> {
        Ok(match self.keeps {
            Keeps::Nothing => None,
            Keeps::Postgres(name) => {
                Some(count_postgres(&mut self.ground.postgres.connect(name).await?).await?)
            }
            Keeps::Sqlite => Some(count_sqlite(self.ground.files.connect(MEASURED).await?).await?),
        })
    }
}
