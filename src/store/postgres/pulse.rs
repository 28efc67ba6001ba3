//! Detection of a database that has fallen silent. A machine that is gone without a word leaves its connections open:
//! their answers never come, and the system learns of it after a quarter of an hour. So while an answer is awaited for long, the
//! database is asked on a connection of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{servers::Servers, sql};

/// For how long an answer is awaited before the database is asked, and between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often in a row the database must say that it works on nothing, or say nothing.
const STRIKES: u32 = 2;
/// How long one question may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long an answer holds for others who ask.
const FRESH: Duration = Duration::from_millis(300);

/// Asks the database what it works on.
pub struct Pulse {
    servers: Servers,
    /// The last finding, and when; locked while the database is asked.
    last: Mutex<Option<(Instant, bool)>>,
}

/// The database has fallen silent, or has lost what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the database does not answer")]
pub struct Silent;

impl Pulse {
    /// Asks one of `servers`.
    pub fn new(servers: Servers) -> Self {
        Self { servers, last: Mutex::new(None) }
    }

    /// Waits for `work`, a single statement or less, as long as the database works on it.
    ///
    /// # Errors
    /// [`Silent`]; `work` is dropped then.
    pub async fn watch<T>(
        self: Arc<Self>,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Silent> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            silent = self.silence(limit) => Err(silent),
        }
    }

    /// Waits until the database works on nothing that this instance has asked a while ago, for at most `limit`.
    pub async fn silence(self: Arc<Self>, limit: Duration) -> Silent {
        let started = Instant::now();
        let mut strikes = 0;
        while strikes < STRIKES && started.elapsed() < limit {
            sleep(ASK_EVERY.min(limit)).await;
            strikes = if self.is_working().await { 0 } else { strikes + 1 };
        }
        self.servers.suspect();
        Silent
    }

    /// Returns true while the database works on something of this instance.
    async fn is_working(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_working)) = *last
            && at.elapsed() < FRESH
        {
            return is_working;
        }
        let asked = timeout(PATIENCE, self.ask()).await;
        let is_working = match asked {
            Ok(Ok(is_working)) => is_working,
            Ok(Err(error)) => {
                tracing::debug!(%error, "can't ask the database what it works on");
                // One that says why it takes no connection is alive; what it works on is not known.
                matches!(&error, sqlx::Error::Database(error) if error.code().as_deref() == Some("53300"))
            }
            Err(_) => false,
        };
        *last = Some((Instant::now(), is_working));
        is_working
    }

    async fn ask(&self) -> Result<bool, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.servers.present()).await?;
        let asked = sqlx::query_scalar(sql::WORKS_ON_SOMETHING).bind(self.servers.name());
        let is_working = asked.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(is_working)
    }
}
