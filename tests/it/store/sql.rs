//! Every statement of fixed text fits the schema.

use redflag::store::{postgres, sqlite};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};

use super::world::World;
use crate::support::DatabaseKind;

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let mut conn = SqliteConnection::connect(world.database.url()).await.unwrap();
    for (name, sql) in sqlite::sql::ALL {
        let prepared = conn.prepare(AssertSqlSafe(*sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
    }
}

#[tokio::test]
async fn every_statement_prepares_on_postgres() {
    let world = World::new(DatabaseKind::Postgres).await;
    let mut conn = PgConnection::connect(world.database.url()).await.unwrap();
    for (name, sql) in postgres::sql::ALL {
        let prepared = conn.prepare(AssertSqlSafe(*sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
    }
}
