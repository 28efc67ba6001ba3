//! The connections to the database, and who may use how many of them: whatever is asked, the rest finds some left.

use std::{io, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction, pool::PoolConnection,
    postgres::PgPoolOptions,
};
use uuid::Uuid;

use super::{pulse::Pulse, servers::Servers};
use crate::{
    domain::OrganizationId,
    store::{
        StoreError,
        connect::Options,
        fair::{FairSemaphore, Permit},
        queue::REST,
    },
};

/// How long a call waits for a connection before the database counts as away.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long the database ends a transaction whose instance has fallen silent, as when its machine is paused: it may hold
/// the lock that all changes of an organization wait for.
const SILENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement waits for a lock. Many calls may share the statement, so whoever is in the way is found, and only those
/// who need the lock wait on, a moment at a time.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
/// How much longer than a statement may run its answer is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// The connections, and the shares in them.
#[derive(Clone)]
pub struct Connections {
    pool: PgPool,
    servers: Servers,
    pulse: Arc<Pulse>,
    /// How long an answer is waited for.
    pub limit: Duration,
    shares: Arc<Shares>,
}

/// How many connections there are for what. Changes have theirs by themselves: each of their workers uses one at a time.
struct Shares {
    /// For lists, totals and histories.
    lists: Arc<FairSemaphore>,
    /// For look-ups by key, which share statements.
    lookups: Arc<FairSemaphore>,
    /// For changes that may wait for locks, and for what is done in the background.
    locks: Arc<FairSemaphore>,
    /// Changes have one more, for the express lane.
    has_express: bool,
}

impl Shares {
    fn of(connections: usize, in_flight: usize) -> Self {
        let left = connections.saturating_sub(in_flight).max(1);
        if left < 3 {
            let all = FairSemaphore::new(left);
            let (lists, lookups) = (Arc::clone(&all), Arc::clone(&all));
            return Self { lists, lookups, locks: all, has_express: false };
        }
        let has_express = left > 3;
        let lists = left - 2 - usize::from(has_express);
        Self {
            lists: FairSemaphore::new(lists),
            lookups: FairSemaphore::new(1),
            locks: FairSemaphore::new(1),
            has_express,
        }
    }
}

/// The purpose of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// Changes of many calls in a statement.
    Changes,
    /// Look-ups of many calls in a statement.
    LookUps,
    /// Lists, totals and histories of an organization.
    Lists(OrganizationId),
    /// Changes of an organization that may wait for locks.
    Locks(OrganizationId),
    /// Look-ups of API keys.
    Keys,
    /// Work that belongs to no organization, or that no caller waits for.
    Background,
}

/// A connection that is lent, with its place in a share. Both are given back together: a statement that its caller has left may
/// run on for a while.
///
/// There until it is dropped.
pub struct Lent(Option<(PoolConnection<Postgres>, Option<Permit>)>);

impl Connections {
    /// Connections to one of `servers`, made when they are needed.
    pub fn open(servers: Servers, options: &Options, in_flight: usize) -> Self {
        let session = session(options);
        let limit = options.statement_timeout + GRACE;
        let pulse = Arc::new(Pulse::new(servers.clone()));
        let (checking, settling) = (servers.clone(), Arc::clone(&pulse));
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                let session = AssertSqlSafe(session.clone());
                Box::pin(async move { sqlx::raw_sql(session).execute(connection).await.map(drop) })
            })
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let servers = checking.clone();
                Box::pin(async move { servers.check(connection, &meta).await })
            })
            .after_release(move |connection, _| {
                let pulse = Arc::clone(&settling);
                Box::pin(async move { settle(connection, &pulse, limit).await })
            })
            .connect_lazy_with(servers.present());
        servers.guide(&pool);
        let connections = usize::try_from(options.connections).unwrap_or(usize::MAX);
        let shares = Arc::new(Shares::of(connections, in_flight));
        Self { pool, servers, pulse, limit, shares }
    }

    /// Returns true where changes have a connection for the express lane.
    pub fn has_express(&self) -> bool {
        self.shares.has_express
    }

    /// A place in the share of `what`, as soon as it has one; changes need none.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait.
    pub async fn place(&self, what: Use) -> Result<Option<Permit>, StoreError> {
        let nobody = OrganizationId::NONE;
        let Shares { lists, lookups, locks, .. } = self.shares.as_ref();
        Ok(match what {
            Use::Changes => None,
            Use::LookUps => Some(lookups.acquire(nobody).await?),
            // In turns with the others, however many come with unknown keys.
            Use::Keys => Some(lookups.acquire(OrganizationId::from_uuid(Uuid::max())).await?),
            Use::Lists(organization) => Some(lists.acquire(organization).await?),
            Use::Locks(organization) => Some(locks.acquire(organization).await?),
            Use::Background => Some(locks.acquire(nobody).await?),
        })
    }

    /// A connection for `what`, as soon as its share has one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait; [`StoreError::Unavailable`] when the database can't be reached in time.
    pub async fn lend(&self, what: Use) -> Result<Lent, StoreError> {
        let permit = self.place(what).await?;
        let connection = self.note(self.pool.acquire().await)?;
        Ok(Lent(Some((connection, permit))))
    }

    /// Begins a transaction. In a task of its own: a caller that goes away while BEGIN is on its way must not leave a connection in
    /// the pool on which the next caller's writes would never be committed (sqlx-postgres 0.9.0 does).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database can't be reached in time.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await });
        Ok(self.note(begun.await.map_err(|error| StoreError::Internal(error.into()))?)?)
    }

    /// The same result; where it tells that something is wrong with the server, that is noted.
    ///
    /// # Errors
    /// As it was.
    pub fn note<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        result.inspect_err(|error| self.servers.note(error))
    }

    /// Notes what an error says about the server.
    pub fn note_error(&self, error: &sqlx::Error) {
        self.servers.note(error);
    }

    /// Runs `work`, and gives it up when the database has fallen silent; its panics, as sqlx has for some damaged rows,
    /// are failures like others.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError::Unavailable`].
    pub async fn guarded<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut working = tokio::spawn(work);
        match self.pulse.watch(self.limit, &mut working).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(StoreError::Internal(error.into()).into()),
            Err(silent) => {
                working.abort();
                Err(StoreError::Unavailable(silent.into()).into())
            }
        }
    }

    /// Makes a change that may wait for a lock: a moment at a time, until it has it or its time is up.
    ///
    /// # Errors
    /// Those of `attempt`.
    pub async fn patiently<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let started = std::time::Instant::now();
        let (mut pause, longest) = REST;
        loop {
            match attempt().await {
                Err(StoreError::Locked(_)) if started.elapsed() < self.limit => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
                outcome => return outcome,
            }
        }
    }

    /// Returns true once they are closed.
    pub fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Closes all of them.
    pub async fn close(&self) {
        let Shares { lists, lookups, locks, .. } = self.shares.as_ref();
        for share in [lists, lookups, locks] {
            share.close();
        }
        self.pool.close().await;
    }
}

impl Lent {
    /// The connection.
    pub fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let held = self.0.as_mut().map(|(connection, _)| &mut **connection);
        held.ok_or_else(|| StoreError::Internal("the connection was given back".into()))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((mut connection, permit)) = self.0.take() {
            let returned = connection.return_to_pool();
            tokio::spawn(async move {
                returned.await;
                drop(permit);
            });
        }
    }
}

/// Waits until the database has answered what a call that was cut off has asked it. Where it never does, as when its machine is
/// gone without a word, the connection must not keep its place in the pool. What is left are connections that are caught while
/// sqlx closes them or begins a transaction: they keep their places until the system gives them up.
async fn settle(connection: &mut PgConnection, pulse: &Pulse, limit: Duration) -> Result<bool, sqlx::Error> {
    let silent = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    pulse.watch(limit, connection.flush()).await.map_err(silent)??;
    Ok(true)
}

/// Settings of every connection, whatever the server's defaults: no statement runs for ever or waits long for a lock, no
/// transaction is left lying, transactions see what others have committed (the store takes the locks it needs), and an answer
/// comes after the commit is on disk.
fn session(options: &Options) -> String {
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET default_transaction_isolation = 'read committed'; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        options.statement_timeout.as_millis(),
        LOCK_TIMEOUT.as_millis(),
        SILENT_TIMEOUT.as_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_leave_connections_for_everything_else() {
        for (connections, in_flight, expected) in [
            (1, 1, None),
            (2, 1, None),
            (3, 1, None),
            (4, 1, Some((1, false))),
            (5, 1, Some((1, true))),
            (8, 1, Some((4, true))),
        ] {
            let shares = Shares::of(connections, in_flight);
            match expected {
                None => assert!(Arc::ptr_eq(&shares.lists, &shares.locks), "{connections}"),
                Some((lists, has_express)) => {
                    assert_eq!((shares.lists.free(), shares.has_express), (lists, has_express));
                    let used = lists + 2 + in_flight + usize::from(has_express);
                    assert_eq!(used, connections);
                }
            }
        }
    }
}
