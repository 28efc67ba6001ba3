//! The conformance suite: what `trait Store` promises, held against every store.

mod world;
mod write_ahead_log;

mod abandoned;
mod actors;
mod adoption;
mod alerts;
mod batches;
mod bulk;
mod concurrency;
mod decisions;
mod file;
mod follow;
mod history;
mod isolation;
mod keys;
mod largest;
mod ledger;
mod lists;
mod model;
mod organizations;
mod overtaken;
mod plans;
mod random;
mod repeats;
mod retries;
mod schema;
mod signatures;
mod silence;
mod sql;
mod statuses;
mod tampered_alerts;
mod tampering;
mod tampering_rows;
mod tenancy;
mod updates;

/// Runs each of the tests named, `async fn(&World)`, on every store: as `…::sqlite` and `…::postgres`.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use crate::{store::world::World, support::DatabaseKind};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$test(&World::new(DatabaseKind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$test(&World::new(DatabaseKind::Postgres).await).await;
            }
        }
    )+};
}

use on_every_store;
