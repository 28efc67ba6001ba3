//! The connections to the database, and who may use how many of them: whatever is asked, the rest finds some left.

use std::{future::Future, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, FromRow, PgPool, Postgres,
    postgres::{PgArguments, PgPoolOptions, PgRow},
    query::QueryAs,
};
use uuid::Uuid;

use super::{
    lent::{Lent, Watch},
    pulse::Pulse,
    rows::{Decoded, take_page},
    servers::Servers,
};
use crate::{
    domain::{EstimatedSize, OrganizationId, Page, PageSize},
    store::{
        StoreError,
        fair::{FairSemaphore, Permit},
        options::Options,
        queue::REST,
        shared::row::Decode,
    },
};

/// How long a call waits for a connection before the database counts as away.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long the database ends a transaction whose instance has fallen silent, as when its machine is paused: it may hold
/// the lock that all changes of an organization wait for.
const SILENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement waits for a lock. Many calls may share the statement, so whoever is in the way is found, and only those
/// who need the lock wait on, a moment at a time.
pub const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long it waits for a lock where others wait for their turn meanwhile.
pub const BARELY: Duration = Duration::from_millis(20);
/// How much longer than a statement may run its answer is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// The connections, and the shares in them.
#[derive(Clone)]
pub struct Connections {
    pool: PgPool,
    watch: Watch,
    shares: Arc<Shares>,
}

/// How many connections there are for what. Changes have theirs by themselves: each of their workers uses one at a time.
struct Shares {
    /// For lists, totals and histories.
    lists: Arc<FairSemaphore>,
    /// For look-ups by key, which share statements.
    lookups: Arc<FairSemaphore>,
    /// For changes of alerts that another instance is at work on too, and for changes of statuses.
    locks: Arc<FairSemaphore>,
    /// For those that have waited for a lock in vain, and for what is done in the background.
    waits: Arc<FairSemaphore>,
    /// Changes have one more, for the express lane.
    has_express: bool,
}

impl Shares {
    fn of(connections: usize, in_flight: usize) -> Self {
        let left = connections.saturating_sub(in_flight).max(1);
        if left < 3 {
            let all = FairSemaphore::new(left);
            let [lists, lookups, locks] = [(); 3].map(|()| Arc::clone(&all));
            return Self { lists, lookups, locks, waits: all, has_express: false };
        }
        let (has_express, has_waits) = (left > 3, left > 5);
        let lists = left - 2 - usize::from(has_express) - usize::from(has_waits);
        let locks = FairSemaphore::new(1);
        let waits = if has_waits { FairSemaphore::new(1) } else { Arc::clone(&locks) };
        Self { lists: FairSemaphore::new(lists), lookups: FairSemaphore::new(1), locks, waits, has_express }
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
    /// Changes of alerts that another instance is at work on too.
    Contended,
    /// Other changes of an organization, which may wait for locks.
    Locks(OrganizationId),
    /// Those that have waited for a lock in vain.
    Waits(OrganizationId),
    /// Look-ups of API keys.
    Keys,
    /// Work that belongs to no organization, or that no caller waits for.
    Background,
}

impl Use {
    /// The purpose of the next attempt after one that waited for a lock in vain: it must not keep others from their first.
    const fn again(self) -> Self {
        match self {
            Self::Locks(organization) => Self::Waits(organization),
            other => other,
        }
    }
}

/// A statement whose rows are read as `R`.
pub type Reads<R> = QueryAs<'static, Postgres, R, PgArguments>;

impl Connections {
    /// Connections to one of `servers`, made when they are needed.
    pub fn open(servers: Servers, options: &Options, in_flight: usize) -> Self {
        let session = session(options);
        let checking = servers.clone();
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
            .connect_lazy_with(servers.present());
        servers.guide(&pool);
        let connections = usize::try_from(options.connections).unwrap_or(usize::MAX);
        let shares = Arc::new(Shares::of(connections, in_flight));
        let pulse = Arc::new(Pulse::new(servers.clone()));
        let watch = Watch { servers, pulse, limit: options.statement_timeout + GRACE };
        Self { pool, watch, shares }
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
        let Shares { lists, lookups, locks, waits, .. } = self.shares.as_ref();
        Ok(match what {
            Use::Changes => None,
            Use::LookUps => Some(lookups.acquire(nobody).await?),
            // In turns with the others, however many come with unknown keys.
            Use::Keys => Some(lookups.acquire(OrganizationId::from_uuid(Uuid::max())).await?),
            Use::Lists(organization) => Some(lists.acquire(organization).await?),
            Use::Contended => Some(locks.acquire(nobody).await?),
            Use::Locks(organization) => Some(locks.acquire(organization).await?),
            Use::Waits(organization) => Some(waits.acquire(organization).await?),
            Use::Background => Some(waits.acquire(nobody).await?),
        })
    }

    /// A connection for `what`, as soon as its share has one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait; [`StoreError::Unavailable`] when the database can't be reached in time.
    pub async fn lend(&self, what: Use) -> Result<Lent, StoreError> {
        let permit = self.place(what).await?;
        let connection = self.pool.acquire().await.inspect_err(|error| self.watch.servers.note(error))?;
        Ok(Lent::new(connection, permit, self.watch.clone()))
    }

    /// A connection for `what` on which a transaction has begun.
    ///
    /// # Errors
    /// As for [`Self::lend`].
    pub async fn begin(&self, what: Use) -> Result<Lent, StoreError> {
        let mut lent = self.lend(what).await?;
        lent.begin().await?;
        Ok(lent)
    }

    /// The same; each statement waits for a lock for at most `longest`.
    ///
    /// # Errors
    /// As for [`Self::lend`].
    pub async fn begin_waiting(&self, what: Use, longest: Duration) -> Result<Lent, StoreError> {
        let mut lent = self.lend(what).await?;
        lent.begin_waiting(longest).await?;
        Ok(lent)
    }

    /// Reads all rows of a statement, as soon as nobody locks them.
    ///
    /// # Errors
    /// As for [`Self::lend`], and those of the statement.
    pub async fn all<R>(
        &self,
        what: Use,
        statement: impl Fn() -> Result<Reads<R>, StoreError>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let statement = &statement;
        let attempt = |what| async move { Ok(statement()?.fetch_all(&mut self.lend(what).await?).await?) };
        self.patiently(what, attempt).await
    }

    /// Reads the row of a statement that answers one at most, as soon as nobody locks it; or changes it.
    ///
    /// # Errors
    /// As for [`Self::lend`], and those of the statement.
    pub async fn optional<R>(
        &self,
        what: Use,
        statement: impl Fn() -> Result<Reads<R>, StoreError>,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let statement = &statement;
        let attempt =
            |what| async move { Ok(statement()?.fetch_optional(&mut self.lend(what).await?).await?) };
        self.patiently(what, attempt).await
    }

    /// Reads rows until the page is full, as soon as nobody locks them.
    ///
    /// # Errors
    /// As for [`Self::lend`], and those of the statement.
    pub async fn page<K: Decode + Send + Unpin + 'static>(
        &self,
        what: Use,
        size: PageSize,
        statement: impl Fn() -> Result<Reads<Decoded<K>>, StoreError>,
    ) -> Result<Page<K::Entity>, StoreError>
    where
        K::Entity: EstimatedSize,
    {
        let statement = &statement;
        let attempt =
            |what| async move { take_page(statement()?.fetch(&mut self.lend(what).await?), size).await };
        self.patiently(what, attempt).await
    }

    /// Runs `work` so that its panics, as sqlx has for some damaged rows, are failures like others.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn guarded<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let done = tokio::spawn(work).await;
        done.unwrap_or_else(|error| Err(StoreError::Internal(error.into()).into()))
    }

    /// Does something that may wait for a lock: a moment at a time, until it has it or its time is up. Each attempt is told what it
    /// lends its connection for.
    ///
    /// # Errors
    /// Those of `attempt`.
    pub async fn patiently<T, F>(
        &self,
        mut what: Use,
        mut attempt: impl FnMut(Use) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let started = std::time::Instant::now();
        let (mut pause, longest) = REST;
        loop {
            match attempt(what).await {
                Err(StoreError::Locked(_)) if started.elapsed() < self.watch.limit => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                    what = what.again();
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
        let Shares { lists, lookups, locks, waits, .. } = self.shares.as_ref();
        for share in [lists, lookups, locks, waits] {
            share.close();
        }
        self.pool.close().await;
    }
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
            (4, 1, Some((1, false, false))),
            (5, 1, Some((1, true, false))),
            (6, 1, Some((2, true, false))),
            (7, 1, Some((2, true, true))),
            (9, 1, Some((4, true, true))),
        ] {
            let shares = Shares::of(connections, in_flight);
            match expected {
                None => assert!(Arc::ptr_eq(&shares.lists, &shares.locks), "{connections}"),
                Some((lists, has_express, has_waits)) => {
                    assert_eq!((shares.lists.free(), shares.has_express), (lists, has_express));
                    assert_eq!(!Arc::ptr_eq(&shares.locks, &shares.waits), has_waits);
                    let used = lists + 2 + in_flight + usize::from(has_express) + usize::from(has_waits);
                    assert_eq!(used, connections);
                }
            }
        }
    }
}
