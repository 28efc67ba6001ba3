//! SQLite's write-ahead log begins anew while changes go on, also after somebody has read for long.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redflag::domain::{Command, NewAlert};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;

use super::world::{World, alert_change, text};
use crate::support::DatabaseKind;

/// After how many pages the log is to begin anew.
const LONG: i64 = 8_000;

/// How many pages the log has.
async fn pages(conn: &mut SqliteConnection) -> i64 {
    let told: (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(conn).await.unwrap();
    told.1
}

/// Waits until the log's size is `as_wanted`.
async fn wait_until(conn: &mut SqliteConnection, as_wanted: impl Fn(i64) -> bool) {
    let begun = Instant::now();
    loop {
        let pages = pages(conn).await;
        if as_wanted(pages) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "the log has {pages} pages");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_anew_once_nobody_reads_what_is_older() {
    let world = Arc::new(World::new(DatabaseKind::Sqlite).await);
    let options = SqliteConnectOptions::from_str(world.database.url()).unwrap();
    let mut reader = SqliteConnection::connect_with(&options).await.unwrap();
    let mut watcher = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM alerts").execute(&mut reader).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..32 {
        let (world, is_over) = (Arc::clone(&world), Arc::clone(&is_over));
        writers.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let alert = NewAlert { description: text(&"long ".repeat(2_000)), ..world.alert() };
                let change =
                    alert_change(world.organization, Command::Flag(Box::new(alert)), &world.change());
                world.store.change_alert(&change).await.unwrap();
            }
        });
    }
    wait_until(&mut watcher, |pages| pages > 2 * LONG).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut reader).await.unwrap();
    wait_until(&mut watcher, |pages| pages < LONG).await;
    is_over.store(true, Ordering::Relaxed);
    writers.join_all().await;
    world.assert_sound().await;
}
