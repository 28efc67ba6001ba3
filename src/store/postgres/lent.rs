//! A connection that is lent. Every statement of the store passes here: its answer is awaited as long as the database works on
//! it, and what its failure says about the server is noted.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio_stream::Stream;

use super::{
    pulse::{Pulse, Silent},
    servers::Servers,
};
use crate::store::fair::Permit;

type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'f>>;
type Step = Either<PgQueryResult, PgRow>;
type Steps<'s> = Pin<Box<dyn Stream<Item = Result<Step, Error>> + Send + 's>>;

/// A connection with its place in a share. Both are given back together: a statement that its caller has left may run on for a
/// while.
pub struct Lent {
    /// There until it is given back.
    connection: Option<PoolConnection<Postgres>>,
    permit: Option<Permit>,
    watch: Watch,
    /// True where BEGIN was sent, and no end of the transaction has been answered.
    is_in_transaction: bool,
    /// True where the connection is lost.
    is_lost: bool,
}

/// Waits for answers.
#[derive(Clone)]
pub struct Watch {
    pub servers: Servers,
    pub pulse: Arc<Pulse>,
    /// How long an answer is awaited at most.
    pub limit: Duration,
}

impl Watch {
    async fn until<T>(
        &self,
        is_lost: &mut bool,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let answer = Arc::clone(&self.pulse).watch(self.limit, answer).await;
        self.read(is_lost, answer.unwrap_or_else(|silent| Err(silent.into())))
    }

    /// Notes what an answer says about the server and the connection.
    fn read<T>(&self, is_lost: &mut bool, answer: Result<T, Error>) -> Result<T, Error> {
        answer.inspect_err(|error| {
            *is_lost |= matches!(error, Error::Io(_) | Error::Protocol(_) | Error::Tls(_));
            self.servers.note(error);
        })
    }
}

impl From<Silent> for Error {
    fn from(silent: Silent) -> Self {
        Self::Io(io::Error::new(io::ErrorKind::TimedOut, silent))
    }
}

impl Lent {
    /// Lends a connection that `permit` allows.
    pub fn new(connection: PoolConnection<Postgres>, permit: Option<Permit>, watch: Watch) -> Self {
        Self { connection: Some(connection), permit, watch, is_in_transaction: false, is_lost: false }
    }

    /// Begins a transaction; where it is not committed, it is undone before anybody else has the connection.
    ///
    /// Not by the driver (sqlx-postgres 0.9.0): where a caller goes away while its BEGIN is on its way, the next one's writes would
    /// never be committed.
    pub async fn begin(&mut self) -> Result<(), Error> {
        self.is_in_transaction = true;
        self.tell("BEGIN").await
    }

    /// Begins a transaction whose statements wait for a lock for at most `longest` each.
    pub async fn begin_waiting(&mut self, longest: Duration) -> Result<(), Error> {
        self.is_in_transaction = true;
        // PostgreSQL takes 0 for no limit.
        let millis = longest.as_millis().max(1);
        let begin = AssertSqlSafe(format!("BEGIN; SET LOCAL lock_timeout = {millis}"));
        sqlx::raw_sql(begin).execute(self).await.map(drop)
    }

    /// Commits the transaction.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.tell("COMMIT").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Undoes the transaction, so that another may begin.
    pub async fn rollback(&mut self) -> Result<(), Error> {
        self.tell("ROLLBACK").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Runs statements that answer nothing.
    pub async fn tell(&mut self, statements: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(statements).execute(self).await.map(drop)
    }

    /// The connection, and what watches over it.
    fn parts(&mut self) -> (&mut PgConnection, &Watch, &mut bool) {
        let Self { connection, watch, is_lost, .. } = self;
        let connection = connection.as_mut().expect("it is there until it is dropped");
        (connection, watch, is_lost)
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl<'c> Executor<'c> for &'c mut Lent {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Steps<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (connection, watch, is_lost) = self.parts();
        Box::pin(Watched { steps: connection.fetch_many(query), watch, is_lost, silence: None })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Option<PgRow>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (connection, watch, is_lost) = self.parts();
        Box::pin(watch.until(is_lost, connection.fetch_optional(query)))
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, PgStatement>
    where
        'c: 'e,
    {
        let (connection, watch, is_lost) = self.parts();
        Box::pin(watch.until(is_lost, connection.prepare_with(sql, parameters)))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Describe<Postgres>>
    where
        'c: 'e,
    {
        let (connection, watch, is_lost) = self.parts();
        Box::pin(watch.until(is_lost, connection.describe(sql)))
    }
}

/// The answers of a statement, each awaited as long as the database works on it.
struct Watched<'s> {
    steps: Steps<'s>,
    watch: &'s Watch,
    is_lost: &'s mut bool,
    /// While an answer is awaited.
    silence: Option<Pin<Box<dyn Future<Output = Silent> + Send>>>,
}

impl Stream for Watched<'_> {
    type Item = Result<Step, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { steps, watch, is_lost, silence } = &mut *self;
        let step = match steps.as_mut().poll_next(context) {
            Poll::Ready(step) => step,
            Poll::Pending => {
                let begin = || -> Pin<Box<dyn Future<Output = Silent> + Send>> {
                    Box::pin(Arc::clone(&watch.pulse).silence(watch.limit))
                };
                match silence.get_or_insert_with(begin).as_mut().poll(context) {
                    Poll::Ready(silent) => Some(Err(silent.into())),
                    Poll::Pending => return Poll::Pending,
                }
            }
        };
        *silence = None;
        Poll::Ready(step.map(|step| watch.read(is_lost, step)))
    }
}

/// Gives the connection back once the database has answered what a call that was cut off has asked it. Where it never does, as
/// when its machine is gone without a word, the connection gives up its place in the pool, and in its share.
impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_lost {
            drop(connection.detach());
            return;
        }
        let (permit, watch, is_in_transaction) =
            (self.permit.take(), self.watch.clone(), self.is_in_transaction);
        tokio::spawn(async move {
            let is_clean = !is_in_transaction || {
                let undone = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
                watch.until(&mut false, undone).await.is_ok()
            };
            if is_clean {
                // The driver asks the database whether it is there, however long that takes. Its connection is closed when this is
                // given up.
                let returned = Box::pin(connection.return_to_pool());
                let _ = Arc::clone(&watch.pulse).watch(watch.limit, returned).await;
            } else {
                drop(connection.detach());
            }
            drop(permit);
        });
    }
}
