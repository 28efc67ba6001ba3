//! Takes a database away from its users, or holds it up, and gives it back.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// Cuts all connections to the database at `url` and lets no new one in, until it is given back.
pub async fn take_away(url: &str) {
    let name = name(url);
    administer(format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")).await;
    administer(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        .await;
}

/// Lets connections in again.
pub async fn give_back(url: &str) {
    administer(format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", name(url))).await;
}

/// Cuts all connections to the database at `url`; from now on it takes no writes, as a server does that was taken over from.
pub async fn make_read_only(url: &str) {
    let name = name(url);
    administer(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    administer(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        .await;
}

/// New connections may write again.
pub async fn make_writable(url: &str) {
    administer(format!("ALTER DATABASE {} RESET default_transaction_read_only", name(url))).await;
}

/// A transaction that lets nobody flag anything.
pub enum Held {
    /// Holds the only writer.
    Sqlite(SqliteConnection),
    /// Holds the statuses that alerts refer to.
    Postgres(PgConnection),
}

/// Holds up all flagging on the database at `url`, from another process's place, until it is released.
pub async fn hold_writes(url: &str) -> Held {
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        return Held::Sqlite(connection);
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE alert_statuses").execute(&mut connection).await.unwrap();
    Held::Postgres(connection)
}

impl Held {
    /// Lets the others go on.
    pub async fn release(self) {
        let done = match self {
            Self::Sqlite(mut connection) => {
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.map(drop)
            }
            Self::Postgres(mut connection) => {
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.map(drop)
            }
        };
        done.unwrap();
    }
}

fn name(url: &str) -> &str {
    let (_, name) = url.rsplit_once('/').expect("the URL names a database");
    name.split('?').next().unwrap_or(name)
}

async fn administer(statement: String) {
    let server = std::env::var("TEST_DATABASE_URL").expect("the test database was made there");
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}
