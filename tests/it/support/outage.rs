//! Takes a PostgreSQL database away from its users, and gives it back.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

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

fn name(url: &str) -> &str {
    let (_, name) = url.rsplit_once('/').expect("the URL names a database");
    name.split('?').next().unwrap_or(name)
}

async fn administer(statement: String) {
    let server = std::env::var("TEST_DATABASE_URL").expect("the test database was made there");
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}
