//! Databases of the version that kept no history, brought up to date.

use std::time::Duration;

use redflag::{
    domain::{Actor, AlertPatch, AnomalyId, OrganizationId, Refusal, StatusClass},
    store::{
        StoreError,
        schema::{OnOlderSchema, OpenError},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, migrate::Migrator};

use super::history::feed;
use super::world::{World, key, text};
use crate::support::{DatabaseKind, TestApp, TestDatabase, instant};

/// The three alerts of the old database: open, in progress, closed.
const ALERTS: [&str; 3] = [
    "01a20000-0000-7000-8000-000000000001",
    "01a20000-0000-7000-8000-000000000002",
    "01a20000-0000-7000-8000-000000000003",
];
pub const ORGANIZATION: &str = "01a10000-0000-7000-8000-000000000001";

/// Makes the database that an older version made, with the first so many migrations.
pub async fn migrate_to(database: &TestDatabase, version: usize) {
    let folder = tempfile::tempdir().unwrap();
    let kind = match database.kind() {
        DatabaseKind::Sqlite => "sqlite",
        DatabaseKind::Postgres => "postgres",
    };
    let migrations = format!("{}/migrations/{kind}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files[..version] {
        std::fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let migrator = Migrator::new(folder.path()).await.unwrap();
    match database.kind() {
        DatabaseKind::Sqlite => {
            let url = format!("{}?mode=rwc", database.url());
            migrator.run(&mut sqlx::SqliteConnection::connect(&url).await.unwrap()).await.unwrap();
        }
        DatabaseKind::Postgres => {
            migrator.run(&mut sqlx::PgConnection::connect(database.url()).await.unwrap()).await.unwrap();
        }
    }
}

/// Fills it: an organization with its statuses, and an alert of each class, the last two changed since, and so many more
/// open ones.
pub async fn fill(database: &TestDatabase, more: usize) {
    let is_sqlite = database.kind() == DatabaseKind::Sqlite;
    let id = |id: &str| if is_sqlite { format!("x'{}'", id.replace('-', "")) } else { format!("'{id}'") };
    let at = |seconds: i64| {
        if is_sqlite { format!("{}", seconds * 1_000_000) } else { format!("to_timestamp({seconds})") }
    };
    let none = if is_sqlite { "'[]'" } else { "'{}'" };
    let one = if is_sqlite { "'[\"txn_1\"]'" } else { "ARRAY['txn_1']" };
    let (organization, yes) = (id(ORGANIZATION), if is_sqlite { "1" } else { "true" });
    let made = at(1_700_000_000);
    let mut sql = vec![format!("INSERT INTO organizations VALUES ({organization}, 'default', {made})")];
    let statuses = [("FLAGGED", 1), ("INVESTIGATING", 2), ("RESOLVED", 3)];
    for (status, class) in statuses {
        sql.push(format!(
            "INSERT INTO alert_statuses VALUES \
             ({organization}, '{status}', '{status}', '#EF4444', {class}, {yes}, {made}, {made})"
        ));
    }
    let more = (0..more).map(|number| (statuses[0], format!("01a20000-0000-7000-9000-{number:012}")));
    for ((status, class), alert) in statuses.into_iter().zip(ALERTS.map(str::to_owned)).chain(more) {
        let (alert, changed) = (id(&alert), at(1_700_000_000 + 60 * (class - 1)));
        sql.push(format!(
            "INSERT INTO alerts VALUES ({organization}, {alert}, 'Old', 'Made long ago.', 2, '{status}', {class}, 3, \
             'ana', {none}, {none}, {one}, {none}, '{{}}', {class}, {made}, {changed}); \
             INSERT INTO alert_entities VALUES ({organization}, 'txn_1', {made}, {alert})"
        ));
    }
    database.execute(&sql.join("; ")).await;
}

async fn old_alerts_get_a_first_event_and_are_sound_from_then_on(kind: DatabaseKind) {
    let database = TestDatabase::create(kind).await;
    migrate_to(&database, 1).await;
    fill(&database, 0).await;
    let mut world = World::on(database).await;
    world.organization = OrganizationId::parse(&format!("org_{ORGANIZATION}")).unwrap();
    let other = world.database.try_execute("UPDATE alerts_to_adopt SET anomaly_id = organization_id").await;
    assert!(other.is_err(), "what is adopted was made another");
    let verified = world.verify().await.unwrap();
    assert_eq!((verified.events, verified.without_history), (0, 3));
    let unread = AlertPatch { title: Some(text("Read")), ..AlertPatch::default() };
    let first = AnomalyId::parse(&format!("ano_{}", ALERTS[0])).unwrap();
    let refused = world.update(first, &unread).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refusal::NotAdopted(id)) if id == first), "{refused:?}");
    assert_eq!(world.operator().adopt_alerts().await.unwrap(), 3);
    assert_eq!(world.operator().adopt_alerts().await.unwrap(), 0);
    world.assert_sound().await;
    assert_eq!(world.verify().await.unwrap().without_history, 0);
    let events = feed(&world, world.organization).await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.actor == Actor::migration() && event.sequence == 1));
    let ids = ALERTS.map(|id| AnomalyId::parse(&format!("ano_{id}")).unwrap());
    let closed = world.read(ids[2]).await.unwrap();
    assert_eq!((closed.status_class, closed.version), (StatusClass::Closed, 3));
    assert_eq!(closed.closed_at, Some(instant("2023-11-14T22:15:20Z")));
    assert_eq!(closed.closed_by, Some(Actor::migration()));
    for (id, status) in ids.into_iter().zip(["RESOLVED", "FLAGGED", "INVESTIGATING"]) {
        let patch = AlertPatch { status: Some(key(status)), ..AlertPatch::default() };
        let changed = world.update(id, &patch).await.unwrap();
        assert_eq!(changed.sequence, 2);
    }
    world.flag(world.alert()).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_old_alerts_than_a_page_holds_get_their_histories() {
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let database = TestDatabase::create(kind).await;
        migrate_to(&database, 1).await;
        fill(&database, 1_100).await;
        let mut world = World::on(database).await;
        world.organization = OrganizationId::parse(&format!("org_{ORGANIZATION}")).unwrap();
        assert_eq!(world.operator().adopt_alerts().await.unwrap(), 1_103);
        assert_eq!(world.operator().adopt_alerts().await.unwrap(), 0);
        world.assert_sound().await;
    }
}

/// Waits until no alert of the organization is without history any more.
async fn adopted(database: &TestDatabase) {
    while database.count("SELECT count(*) FROM alerts_to_adopt").await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn changes_an_old_alert(app: &TestApp, id: &str) {
    let path = format!("/alerts/ano_{id}");
    let read = app.rest(Method::GET, &path).send().await.unwrap();
    assert_eq!(read.status(), 200);
    let change = format!("/alerts/flag/ano_{id}");
    let changed = app.rest(Method::PUT, &change).json(&json!({ "assigned_to": "eva" })).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["assigned_to"], "eva");
    let events = app.rest(Method::GET, &format!("{path}/events")).send().await.unwrap();
    let events: Value = events.json().await.unwrap();
    let told =
        events["data"].as_array().unwrap().iter().map(|event| (&event["type"], &event["actor"]["key_name"]));
    let told: Vec<_> = told.map(|(kind, key)| (kind.as_str().unwrap(), key.as_str().unwrap())).collect();
    assert_eq!(told, [("FLAGGED", "migration"), ("ASSIGNED", "bootstrap")], "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_while_another_begins_the_histories() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    migrate_to(&database, 1).await;
    fill(&database, 0).await;
    let other = database.open().await;
    let held = other.lock_adoption().await.unwrap().expect("nobody else begins histories");
    let app = TestApp::start_with(database, |_| {}).await;
    let ready = app.rest_without_key(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    changes_an_old_alert(&app, ALERTS[0]).await;
    let escalated = format!("/alerts/ano_{}/escalate", ALERTS[1]);
    let escalated = app.rest(Method::POST, &escalated).json(&json!({ "to": ["eva"] })).send().await.unwrap();
    assert_eq!(escalated.status(), 200);
    let waiting = app.database().count("SELECT count(*) FROM alerts_to_adopt").await;
    assert_eq!(waiting, 3, "histories were begun without the lock");
    // Neither does it wait for the lock when it is told to stop.
    let database = app.stop().await;
    drop(held);
    let app = TestApp::start_with(database, |_| {}).await;
    adopted(app.database()).await;
    let database = app.stop().await;
    let mut world = World::on(database).await;
    world.organization = OrganizationId::parse(&format!("org_{ORGANIZATION}")).unwrap();
    let verified = world.verify().await.unwrap();
    assert_eq!((verified.events, verified.without_history), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_while_it_begins_histories() {
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let database = TestDatabase::create(kind).await;
        migrate_to(&database, 1).await;
        fill(&database, 1_100).await;
        let app = TestApp::start_with(database, |_| {}).await;
        changes_an_old_alert(&app, "01a20000-0000-7000-9000-000000001099").await;
        adopted(app.database()).await;
        let mut world = World::on(app.stop().await).await;
        world.organization = OrganizationId::parse(&format!("org_{ORGANIZATION}")).unwrap();
        let verified = world.verify().await.unwrap();
        assert_eq!((verified.events, verified.without_history), (1_104, 0), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_is_locked_keeps_no_other_from_its_histories() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    migrate_to(&database, 1).await;
    fill(&database, 100).await;
    let second = "01a10000-0000-7000-8000-000000000002";
    database
        .execute(&format!(
            "INSERT INTO organizations VALUES ('{second}', 'second', now()); \
             INSERT INTO alert_statuses SELECT '{second}', key, name, colour, class, builtin, created_at, updated_at \
             FROM alert_statuses; \
             INSERT INTO alerts SELECT '{second}', gen_random_uuid(), title, description, type, status, status_class, \
             severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, \
             metadata, version, created_at, updated_at FROM alerts"
        ))
        .await;
    let world = World::on(database).await;
    let mut holder = sqlx::PgConnection::connect(world.database.url()).await.unwrap();
    let hold =
        format!("BEGIN; SELECT 1 FROM event_heads WHERE organization_id = '{ORGANIZATION}' FOR UPDATE");
    sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut holder).await.unwrap();
    let left = world.operator().adopt_alerts().await.unwrap_err();
    assert_eq!(left.reason(), redflag::error::Reason::RateLimited);
    let events = world.database.count("SELECT count(*) FROM alert_events").await;
    assert_eq!(events, 103, "the other organization has its histories");
    holder.close().await.unwrap();
    assert_eq!(world.operator().adopt_alerts().await.unwrap(), 103);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_one_begins_the_histories() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    migrate_to(&database, 1).await;
    fill(&database, 1_100).await;
    let mut world = World::on(database).await;
    world.organization = OrganizationId::parse(&format!("org_{ORGANIZATION}")).unwrap();
    let (one, other) = (world.operator(), World { store: world.database.open().await, ..world });
    let (first, second) = tokio::join!(one.adopt_alerts(), async {
        let operator = other.operator();
        operator.adopt_alerts().await
    });
    assert_eq!(first.unwrap() + second.unwrap(), 1_103);
    let verified = other.verify().await.unwrap();
    assert_eq!((verified.events, verified.without_history), (1_103, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_sqlite_database_gets_its_histories() {
    old_alerts_get_a_first_event_and_are_sound_from_then_on(DatabaseKind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_postgres_database_gets_its_histories() {
    old_alerts_get_a_first_event_and_are_sound_from_then_on(DatabaseKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_without_row_ids_stays_as_it_is_and_goes_on() {
    a_feed_of_the_version_stays_as_it_is_and_goes_on(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_by_keys_alone_stays_as_it_is_and_goes_on() {
    a_feed_of_the_version_stays_as_it_is_and_goes_on(6).await;
}

async fn a_feed_of_the_version_stays_as_it_is_and_goes_on(version: usize) {
    let new = World::new(DatabaseKind::Sqlite).await;
    for _ in 0..9 {
        let alert = new.flag(new.alert()).await;
        new.update(alert.id, &AlertPatch { status: Some(key("RESOLVED")), ..AlertPatch::default() })
            .await
            .unwrap();
    }
    let old = TestDatabase::create(DatabaseKind::Sqlite).await;
    migrate_to(&old, version).await;
    let columns = "organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, on_behalf_of, changes, \
         note, request_id, idempotency_key, created_at, previous_hash, hash";
    let file = new.database.url().strip_prefix("sqlite:").unwrap();
    let whole = ["organizations", "alert_statuses", "alerts", "alert_entities", "event_heads"];
    let whole = whole.map(|table| format!("INSERT INTO main.{table} SELECT * FROM new.{table};")).concat();
    old.execute(&format!(
        "ATTACH '{file}' AS new; {whole} \
         INSERT INTO main.alert_events ({columns}) SELECT {columns} FROM new.alert_events"
    ))
    .await;
    let mut world = World::on(old).await;
    world.organization = new.organization;
    assert_eq!(feed(&world, world.organization).await, feed(&new, new.organization).await);
    world.flag(world.alert()).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_database_is_refused_where_migrating_is_not_wanted() {
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let database = TestDatabase::create(kind).await;
        migrate_to(&database, 1).await;
        let options = redflag::store::connect::Options::for_command(OnOlderSchema::Refuse);
        let refused = redflag::store::connect::open(database.url(), options).await.err();
        assert!(matches!(refused, Some(OpenError::Older { found: 1, known: 7 })), "{refused:?}");
    }
}
