//! Every statement of fixed text fits the schema.

use redflag::store::{postgres, sqlite};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};

use super::world::World;
use crate::support::DatabaseKind;

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let mut conn = SqliteConnection::connect(world.database.url()).await.unwrap();
    for (name, sql) in sqlite::sql::all() {
        let prepared = conn.prepare(AssertSqlSafe(sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
    }
}

#[tokio::test]
async fn every_statement_prepares_on_postgres() {
    let world = World::new(DatabaseKind::Postgres).await;
    let mut conn = PgConnection::connect(world.database.url()).await.unwrap();
    for (name, sql) in postgres::sql::all() {
        let prepared = conn.prepare(AssertSqlSafe(sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {}", prepared.unwrap_err());
    }
}

/// Statements that read all there is on purpose, of which there is little.
const READING_ALL: [&str; 3] = ["SELECT_ORGANIZATIONS", "SELECT_KEYS", "HAS_MIGRATIONS"];

/// Tables that grow with every alert.
const GROWING: [&str; 6] =
    ["alerts", "alert_events", "alert_entities", "alert_escalations", "head_signatures", "idempotency_keys"];

#[tokio::test]
async fn no_statement_on_sqlite_looks_through_a_table_that_grows() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let mut conn = SqliteConnection::connect(world.database.url()).await.unwrap();
    for (name, sql) in sqlite::sql::all().into_iter().filter(|(name, _)| !READING_ALL.contains(name)) {
        let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explained).fetch_all(&mut conn).await.unwrap();
        for (.., step) in steps {
            let is_scan = |table| step == format!("SCAN {table}");
            assert!(!GROWING.into_iter().any(is_scan), "{name}: {step}");
        }
    }
}

#[tokio::test]
async fn the_triggers_on_sqlite_do_not_look_through_the_history() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let mut conn = SqliteConnection::connect(world.database.url()).await.unwrap();
    let trigger = "SELECT sql FROM sqlite_schema WHERE name = 'alert_events_not_replaced'";
    let text: String = sqlx::query_scalar(trigger).fetch_one(&mut conn).await.unwrap();
    let (_, condition) = text.split_once("WHEN ").unwrap();
    let (condition, _) = condition.split_once("BEGIN").unwrap();
    let condition = ["entry", "organization_id", "position", "anomaly_id", "sequence"]
        .iter()
        .fold(condition.to_owned(), |condition, column| condition.replace(&format!("NEW.{column}"), "?"));
    let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN SELECT {condition}"));
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explained).fetch_all(&mut conn).await.unwrap();
    let searches: Vec<_> = steps.iter().filter(|(.., step)| step.starts_with("SEARCH")).collect();
    assert_eq!(searches.len(), 3, "{steps:?}");
    for key in ["rowid=?", "position=?", "anomaly_id=? AND sequence=?"] {
        assert!(searches.iter().any(|(.., step)| step.contains(key)), "{key}: {steps:?}");
    }
}
