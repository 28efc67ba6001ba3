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

/// Statements that read a whole table on purpose, or one of a few rows.
const SCANNING: [&str; 4] = ["SELECT_ORGANIZATIONS", "SELECT_KEYS", "ANY_KEY", "HAS_MIGRATIONS"];

#[tokio::test]
async fn no_statement_on_sqlite_looks_through_a_table_that_grows() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let mut conn = SqliteConnection::connect(world.database.url()).await.unwrap();
    for (name, sql) in sqlite::sql::ALL {
        let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explained).fetch_all(&mut conn).await.unwrap();
        println!("{name} {steps:#?}");
    }
}
