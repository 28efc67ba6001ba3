//! Opening databases of any age.

use redflag::store::connect;
use redflag::store::schema::{OnOlderSchema, OpenError, SchemaVersion};

use crate::support::{DatabaseKind, TestDatabase};

/// Runs each of the tests named, `async fn(TestDatabase)`, on an empty database of each kind.
macro_rules! on_every_empty_database {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$test(TestDatabase::create(DatabaseKind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$test(TestDatabase::create(DatabaseKind::Postgres).await).await;
            }
        }
    )+};
}

on_every_empty_database!(
    an_empty_database_is_refused_where_migrating_is_not_wanted,
    a_migrated_database_opens_either_way,
    a_newer_schema_is_refused,
    a_schema_that_gets_newer_makes_the_store_unwell,
    many_stores_open_an_empty_database_at_once,
);

async fn version(database: &TestDatabase) -> SchemaVersion {
    connect::schema_version(database.url()).await.unwrap()
}

async fn refusal(database: &TestDatabase, on_older: OnOlderSchema) -> OpenError {
    let opened = connect::open(
        database.url(),
        redflag::store::connect::Options {
            connections: 2,
            ..redflag::store::connect::Options::for_command(on_older)
        },
    )
    .await;
    opened.err().expect("the schema does not fit")
}

async fn pretend_newer(database: &TestDatabase) {
    let row = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) ";
    let values = match database.kind() {
        DatabaseKind::Sqlite => "VALUES (9999, 'from the future', 1, X'00', 0)",
        DatabaseKind::Postgres => "VALUES (9999, 'from the future', true, '\\x00', 0)",
    };
    database.execute(&format!("{row}{values}")).await;
}

async fn an_empty_database_is_refused_where_migrating_is_not_wanted(database: TestDatabase) {
    for _ in 0..2 {
        let refused = refusal(&database, OnOlderSchema::Refuse).await;
        assert!(matches!(refused, OpenError::Older { found: 0, known: 1.. }), "{refused}");
        assert_eq!(version(&database).await.found, 0);
    }
}

async fn a_migrated_database_opens_either_way(database: TestDatabase) {
    database.open().await.close().await;
    assert!(version(&database).await.is_current());
    for on_older in [OnOlderSchema::Refuse, OnOlderSchema::Migrate] {
        let store = connect::open(
            database.url(),
            redflag::store::connect::Options {
                connections: 2,
                ..redflag::store::connect::Options::for_command(on_older)
            },
        )
        .await
        .unwrap();
        store.check().await.unwrap();
    }
}

async fn a_newer_schema_is_refused(database: TestDatabase) {
    database.open().await.close().await;
    pretend_newer(&database).await;
    for on_older in [OnOlderSchema::Refuse, OnOlderSchema::Migrate] {
        let refused = refusal(&database, on_older).await;
        assert!(matches!(refused, OpenError::Newer { found: 9999, .. }), "{refused}");
    }
    assert_eq!(version(&database).await.found, 9999);
}

async fn a_schema_that_gets_newer_makes_the_store_unwell(database: TestDatabase) {
    let store = database.open().await;
    store.check().await.unwrap();
    pretend_newer(&database).await;
    let unwell = store.check().await;
    assert!(matches!(unwell, Err(redflag::store::StoreError::Unavailable(_))));
}

async fn many_stores_open_an_empty_database_at_once(database: TestDatabase) {
    let (a, b, c, d) = tokio::join!(database.open(), database.open(), database.open(), database.open());
    for store in [a, b, c, d] {
        store.check().await.unwrap();
    }
    assert!(version(&database).await.is_current());
}
