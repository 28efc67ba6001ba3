//! Which server takes writes. A URL may name several; and a name may lead to another server than a moment ago, as after a
//! failover, while connections to the old one are still open.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, PgPool, pool::PoolConnectionMetadata, postgres::PgConnectOptions};
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::{address::Address, sql};
use crate::store::schema::OpenError;

/// For how long each connection is asked once one was found that leads nowhere, or to a server that takes no writes.
const SUSPECTED_FOR: Duration = Duration::from_secs(2);
/// How long a connection may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection to a server that takes no writes gives way to a new one: while there is no other server, such a one
/// still reads.
const REPLACE_EVERY: Duration = Duration::from_millis(100);
/// After how long unused a connection is asked before it is used: the database may have been restarted.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How many bytes PostgreSQL keeps of a connection's name (`application_name`).
const LONGEST_NAME: usize = 63;
/// How long to wait before all servers of the URL are tried again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The servers of a URL, and what is known of them.
#[derive(Clone)]
pub struct Servers(Arc<Inner>);

struct Inner {
    address: Address,
    /// The name of this instance in the database (`application_name`).
    name: String,
    /// Which of the servers is used.
    present: AtomicUsize,
    started: Instant,
    /// When something was wrong last, in milliseconds since the start; 0 if never.
    suspected: AtomicU64,
    /// When a connection gave way last, likewise.
    replaced: AtomicU64,
    is_suspected: Notify,
    pool: OnceLock<PgPool>,
}

impl Servers {
    /// The servers of an address. Connections are named after `id`.
    pub fn new(mut address: Address, id: Uuid) -> Result<Self, OpenError> {
        let first = address.servers.first();
        let first = first.ok_or_else(|| OpenError::Url("the database URL names no server".to_owned()))?;
        let name = name(first.get_application_name().unwrap_or("redflag"), id);
        for server in &mut address.servers {
            // Poolers refuse the other parameter that the driver sends, and no float is read.
            *server = server.clone().application_name(&name).extra_float_digits(None);
        }
        Ok(Self(Arc::new(Inner {
            address,
            name,
            present: AtomicUsize::new(0),
            started: Instant::now(),
            suspected: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            is_suspected: Notify::new(),
            pool: OnceLock::new(),
        })))
    }

    /// The name of this instance in the database (`application_name`).
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How to connect now.
    pub fn present(&self) -> PgConnectOptions {
        self.0.address.servers[self.0.present.load(Ordering::Relaxed)].clone()
    }

    /// Connects to a server that takes writes, the present one first, or, where none does, to the first that answers; from now on
    /// it is the present one. Each has the time that the URL says.
    ///
    /// # Errors
    /// Why the last one could not be reached.
    pub async fn connect(&self) -> Result<PgConnection, OpenError> {
        let Address { servers, connect_timeout, takes_any } = &self.0.address;
        let present = self.0.present.load(Ordering::Relaxed);
        let others = (0..servers.len()).filter(|place| *place != present);
        let (mut reading, mut failure) = (None, None);
        for place in std::iter::once(present).chain(others) {
            match timeout(*connect_timeout, connect(&servers[place])).await {
                Ok(Ok((connection, takes_writes))) if takes_writes || *takes_any => {
                    self.set_present(place);
                    return Ok(connection);
                }
                Ok(Ok((connection, _))) => reading = reading.or(Some((connection, place))),
                Ok(Err(error)) => failure = Some(OpenError::from(error)),
                Err(_) => {
                    let silent =
                        format!("no answer from {} within {connect_timeout:?}", servers[place].get_host());
                    failure = Some(OpenError::Unreachable(silent));
                }
            }
        }
        if let Some((connection, place)) = reading {
            self.set_present(place);
            return Ok(connection);
        }
        Err(failure.unwrap_or_else(|| OpenError::Unreachable("no server is named".to_owned())))
    }

    fn set_present(&self, place: usize) {
        if self.0.present.swap(place, Ordering::Relaxed) != place
            && let Some(pool) = self.0.pool.get()
        {
            pool.set_connect_options(self.0.address.servers[place].clone());
        }
    }

    /// Sees to it that `pool` connects to a server that takes writes, as long as the pool is open.
    pub fn guide(&self, pool: &PgPool) {
        // Set once: a pool has servers of its own.
        let _ = self.0.pool.set(pool.clone());
        if self.0.address.servers.len() > 1 {
            let (servers, pool) = (self.clone(), pool.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = servers.look_when_suspected() => {}
                    () = async { pool.close_event().await } => {}
                }
            });
        }
    }

    async fn look_when_suspected(&self) {
        loop {
            self.0.is_suspected.notified().await;
            match self.connect().await {
                Ok(connection) => drop(connection.close().await),
                Err(error) => tracing::warn!(%error, "no server of the database answers"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Notes that something is wrong: a connection that leads nowhere, or to a server that takes no writes. All others are asked
    /// before they are used.
    pub fn suspect(&self) {
        self.0.suspected.store(self.now(), Ordering::Relaxed);
        self.0.is_suspected.notify_one();
    }

    /// Notes what an error says about the server.
    pub fn note(&self, error: &sqlx::Error) {
        let is_suspicious = match error {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code == "25006" || code.starts_with("57P"))
            }
            _ => false,
        };
        if is_suspicious {
            self.suspect();
        }
    }

    /// Returns true for a connection that may be used.
    ///
    /// # Errors
    /// When it does not answer; then it must be closed at once.
    pub async fn check(
        &self,
        connection: &mut PgConnection,
        meta: &PoolConnectionMetadata,
    ) -> Result<bool, sqlx::Error> {
        let asked = if self.is_suspected(meta.idle_for) {
            timeout(PING_TIMEOUT, takes_writes(connection)).await
        } else if meta.idle_for > TRUSTED_FOR {
            timeout(PING_TIMEOUT, async { connection.ping().await.map(|()| true) }).await
        } else {
            return Ok(true);
        };
        let silent = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        match asked.unwrap_or_else(silent) {
            Ok(takes_writes) => Ok(takes_writes || self.0.address.takes_any || !self.may_replace()),
            Err(error) => {
                self.suspect();
                Err(error)
            }
        }
    }

    fn is_suspected(&self, idle_for: Duration) -> bool {
        let suspected = self.0.suspected.load(Ordering::Relaxed);
        let since = Duration::from_millis(self.now().saturating_sub(suspected));
        suspected > 0 && idle_for + SUSPECTED_FOR >= since
    }

    fn may_replace(&self) -> bool {
        let (now, replaced) = (self.now(), self.0.replaced.load(Ordering::Relaxed));
        let pause = u64::try_from(REPLACE_EVERY.as_millis()).unwrap_or(u64::MAX);
        let is_due = replaced == 0 || now.saturating_sub(replaced) >= pause;
        is_due
            && self.0.replaced.compare_exchange(replaced, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Milliseconds since the start, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// The name of this instance in the database, which keeps ASCII alone, and only so much of it; it ends with a part of `id`.
fn name(given: &str, id: Uuid) -> String {
    let id = &id.simple().to_string()[24..];
    let is_kept = |character: &char| matches!(character, ' '..='~');
    let given: String = given.chars().filter(is_kept).take(LONGEST_NAME - 1 - id.len()).collect();
    format!("{given}/{id}")
}

async fn connect(server: &PgConnectOptions) -> Result<(PgConnection, bool), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    let takes_writes = takes_writes(&mut connection).await?;
    Ok((connection, takes_writes))
}

/// Returns true for a server that takes writes. In the simple protocol: a prepared statement would meet that of another client behind a
/// pooler that shares its connections.
pub async fn takes_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::Executor::fetch_one(connection, sqlx::raw_sql(sql::TAKES_WRITES)).await?;
    Ok(sqlx::Row::try_get::<String, _>(&row, 0)? == "off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_one_that_the_database_keeps_as_it_is() {
        let id = Uuid::from_u128(0x1234_5678);
        assert_eq!(name("redflag", id), "redflag/12345678");
        assert_eq!(name("größe 😀\n", id), "gre /12345678");
        let long = name(&"long".repeat(20), id);
        assert_eq!(long.len(), LONGEST_NAME);
        assert!(long.ends_with("/12345678"));
    }
}
