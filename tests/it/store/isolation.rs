//! One organization's locks, mistakes and load leave the others alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redflag::{
    domain::{
        AlertChange, AlertFilter, AlertPatch, AnomalyId, ChainHash, Command, KeyDigest, NewAlert,
        OrganizationId, PageSize, StatusKey, StatusOrigin,
    },
    store::{
        Store, StoreError,
        connect::{self, Options},
        schema::OnOlderSchema,
    },
};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;

use super::batches::Outcome;
use super::on_every_store;
use super::world::{World, alert_change, text};
use crate::support::DatabaseKind;

on_every_store!(
    an_organization_whose_head_is_wrong_leaves_the_others_alone,
    a_deduplication_key_changes_hands_within_a_batch,
);

/// Longer than anything here takes that waits for nobody, and shorter than a lock is held.
const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    fn flag_of(&self, organization_id: OrganizationId) -> AlertChange {
        let alert = NewAlert { organization_id, ..self.alert() };
        AlertChange { organization_id, ..self.to_flag(alert) }
    }

    fn move_to(&self, id: AnomalyId, status: StatusKey) -> AlertChange {
        let patch = AlertPatch { status: Some(status), ..AlertPatch::default() };
        alert_change(self.organization, Command::Update(id, Box::new(patch)), &self.later())
    }
}

/// A transaction past the store that holds a lock.
async fn hold(world: &World, statement: &str) -> PgConnection {
    let mut connection = PgConnection::connect(world.database.url()).await.unwrap();
    let statement = AssertSqlSafe(format!("BEGIN; {statement}"));
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection
}

#[rstest]
#[case::alert("UPDATE alerts SET title = title WHERE organization_id = '{org}'")]
#[case::status("SELECT 1 FROM alert_statuses WHERE organization_id = '{org}' FOR UPDATE")]
#[case::head("SELECT 1 FROM event_heads WHERE organization_id = '{org}' FOR UPDATE")]
#[case::organization("SELECT 1 FROM organizations WHERE organization_id = '{org}' FOR UPDATE")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_one_organization_leaves_the_others_alone(#[case] lock: &str) {
    let world = World::new(DatabaseKind::Postgres).await;
    let other = world.add_organization("second").await;
    let alert = world.flag(world.alert()).await;
    let held = hold(&world, &lock.replace("{org}", &world.organization.uuid().to_string())).await;
    let changes =
        [world.move_to(alert.id, StatusKey::parse("INVESTIGATING").unwrap()), world.to_flag(world.alert())];
    let waiting: Vec<_> = changes.into_iter().map(|change| spawn(&world.store, change)).collect();
    for _ in 0..30 {
        let flag = world.flag_of(other);
        let done = tokio::time::timeout(PATIENCE, world.store.change_alert(&flag)).await;
        done.expect("nobody waits for another organization's lock").unwrap();
    }
    held.close().await.unwrap();
    for change in waiting {
        change.await.unwrap().expect("who waited for the lock has it now");
    }
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_that_is_being_used_leaves_the_others_alone() {
    let world = World::new(DatabaseKind::Postgres).await;
    let other = world.add_organization("second").await;
    let id = world.organization.uuid();
    let insert = format!(
        "INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) VALUES ('{id}', 'one', '\\x00', '', now())"
    );
    let held = hold(&world, &insert).await;
    let mut named = world.to_flag(world.alert());
    let key = redflag::domain::IdempotencyKey::parse("one").unwrap();
    named.context.idempotency = Some(redflag::domain::Idempotency { key, fingerprint: [1; 32] });
    let waiting = spawn(&world.store, named);
    for _ in 0..30 {
        let flag = world.flag_of(other);
        let done = tokio::time::timeout(PATIENCE, world.store.change_alert(&flag)).await;
        done.expect("nobody waits for another organization's key").unwrap();
    }
    held.close().await.unwrap();
    waiting.await.unwrap().expect("the key was not used after all");
    world.assert_sound().await;
}

fn spawn(store: &Arc<dyn Store>, change: AlertChange) -> tokio::task::JoinHandle<Result<(), StoreError>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.change_alert(&change).await.map(drop) })
}

/// Two instances write to one organization, while another organization is held: all of it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_is_held_starves_no_other_that_two_instances_write_to() {
    let world = World::new(DatabaseKind::Postgres).await;
    let other = world.add_organization("second").await;
    let second = world.database.open().await;
    let id = world.organization.uuid();
    let held =
        hold(&world, &format!("SELECT 1 FROM event_heads WHERE organization_id = '{id}' FOR UPDATE")).await;
    let waiting = [&world.store, &second].map(|store| spawn(store, world.to_flag(world.alert())));
    let mut writers = JoinSet::new();
    for caller in 0..8 {
        let store = Arc::clone(if caller % 2 == 0 { &world.store } else { &second });
        let changes: Vec<_> = (0..20).map(|_| world.flag_of(other)).collect();
        writers.spawn(async move {
            for change in changes {
                store.change_alert(&change).await.unwrap();
            }
        });
    }
    let done = tokio::time::timeout(PATIENCE * 2, writers.join_all()).await;
    done.expect("nobody waits for another organization's lock");
    held.close().await.unwrap();
    for change in waiting {
        change.await.unwrap().unwrap();
    }
    let verified = world.verify_of(other, 1).await.unwrap();
    assert_eq!(verified.events, 160);
}

/// Twenty organizations are locked and wait. Meanwhile two instances write to another, and statuses of a third change.
#[rstest]
#[case::alerts("UPDATE alerts SET title = title WHERE organization_id IN ({orgs})")]
#[case::statuses("SELECT 1 FROM alert_statuses WHERE organization_id IN ({orgs}) FOR UPDATE")]
#[case::heads("SELECT 1 FROM event_heads WHERE organization_id IN ({orgs}) FOR UPDATE")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_organizations_that_are_locked_delay_no_other(#[case] lock: &str) {
    let world = World::new(DatabaseKind::Postgres).await;
    let (shared, quiet) = (world.add_organization("shared").await, world.add_organization("quiet").await);
    let second = world.database.open().await;
    let (ids, updates) = alerts_of_many(&world, 20).await;
    let held = hold(&world, &lock.replace("{orgs}", &ids.join(","))).await;
    let waiting: Vec<_> = updates.into_iter().map(|change| spawn(&world.store, change)).collect();
    // Until their locks are met, and all of them wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut others = JoinSet::new();
    for store in [&world.store, &second] {
        let (store, flags) = (Arc::clone(store), (0..40).map(|_| world.flag_of(shared)).collect::<Vec<_>>());
        others.spawn(async move {
            for flag in flags {
                store.change_alert(&flag).await.unwrap();
            }
        });
    }
    let (store, change) = (Arc::clone(&world.store), world.change());
    others.spawn(async move {
        for number in 0..40 {
            let status = super::world::new_status(&format!("S_{number}"));
            store.create_status(quiet, status, &change).await.unwrap();
        }
    });
    // Waiting for the locks of the twenty in turns takes two seconds each time.
    let done = tokio::time::timeout(PATIENCE, others.join_all()).await;
    done.expect("nobody waits for locks of other organizations");
    held.close().await.unwrap();
    for change in waiting {
        change.await.unwrap().expect("who waited for the lock has it now");
    }
    world.assert_sound().await;
}

/// So many organizations with an alert each: their ids, and changes of the alerts to another status.
async fn alerts_of_many(world: &World, count: usize) -> (Vec<String>, Vec<AlertChange>) {
    let (mut ids, mut updates) = (Vec::new(), Vec::new());
    for number in 0..count {
        let organization = world.add_organization(&format!("locked-{number}")).await;
        let flagged = world.store.change_alert(&world.flag_of(organization)).await.unwrap();
        let update = world.move_to(flagged.value.alert.id, StatusKey::parse("INVESTIGATING").unwrap());
        updates.push(AlertChange { organization_id: organization, ..update });
        ids.push(format!("'{}'", organization.uuid()));
    }
    (ids, updates)
}

/// A status that is changed under an idempotency key waits for its organization's lock without a connection to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_that_wait_for_a_lock_leave_connections_to_the_others() {
    let world = World::new(DatabaseKind::Postgres).await;
    let other = world.add_organization("second").await;
    let id = world.organization.uuid();
    let held =
        hold(&world, &format!("SELECT 1 FROM event_heads WHERE organization_id = '{id}' FOR UPDATE")).await;
    let mut waiting = JoinSet::new();
    for number in 0..20 {
        let (store, organization) = (Arc::clone(&world.store), world.organization);
        let mut context = world.change();
        let key = redflag::domain::IdempotencyKey::parse(&format!("status-{number}")).unwrap();
        context.idempotency = Some(redflag::domain::Idempotency { key, fingerprint: [1; 32] });
        let status = super::world::new_status(&format!("WAITING_{number}"));
        waiting.spawn(async move { store.create_status(organization, status, &context).await.map(drop) });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..5 {
        let flag = world.flag_of(other);
        let made = tokio::time::timeout(PATIENCE, world.store.change_alert(&flag)).await;
        let alert = made.expect("a connection is left for changes").unwrap().value.alert;
        let read = tokio::time::timeout(PATIENCE, world.store.alert(other, alert.id)).await;
        assert_eq!(read.expect("a connection is left for look-ups").unwrap(), Some(alert));
    }
    held.close().await.unwrap();
    for created in waiting.join_all().await {
        created.expect("who waited for the lock has it now");
    }
}

/// Whoever changes the schema, or empties a table, holds all of it for a while. Longer here than it takes to find a server silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_every_kind_wait_for_tables_that_are_locked() {
    let world = World::new(DatabaseKind::Postgres).await;
    let alert = world.flag(world.alert()).await;
    let (store, organization) = (&world.store, world.organization);
    let tables = "alerts, alert_events, alert_statuses, alerts_to_adopt, api_keys, event_heads, head_signatures, organizations";
    let held = hold(&world, &format!("LOCK TABLE {tables}")).await;
    let release = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        held.close().await.unwrap();
    };
    let (digest, page, status) = (KeyDigest([9; 32]), PageSize::MAX, [StatusKey::flagged()]);
    let query = world.query(AlertFilter::default());
    let reads = async {
        tokio::try_join!(
            async { store.alert(organization, alert.id).await.map(drop) },
            async { store.alerts(&query).await.map(drop) },
            async { store.alerts_after(organization, None, page).await.map(drop) },
            async { store.events(organization, 0, page).await.map(drop) },
            async { store.alert_events(organization, alert.id, 0, page).await.map(drop) },
            async { store.head(organization).await.map(drop) },
            async { store.head_signatures(organization, 0, page).await.map(drop) },
            async { store.positions_following(organization, ChainHash([0; 32])).await.map(drop) },
            async { store.alerts_to_adopt(None).await.map(drop) },
            async { store.waits_for_adoption(organization, alert.id).await.map(drop) },
            async { store.statuses(organization, StatusOrigin::Builtin, None, page).await.map(drop) },
            async { store.missing_statuses(organization, &status).await.map(drop) },
            async { store.organizations().await.map(drop) },
            async { store.keys(None).await.map(drop) },
            async { store.keys_by_digest(&[digest]).await.map(drop) },
        )
    };
    let ((), read) = tokio::join!(release, reads);
    read.expect("who waited for the tables has them now");
}

/// A statement that has used its time up would use as much again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_takes_too_long_is_given_up_and_not_begun_again() {
    let world = World::new(DatabaseKind::Postgres).await;
    let options = Options {
        connections: 5,
        statement_timeout: Duration::from_millis(300),
        ..Options::for_command(OnOlderSchema::Refuse)
    };
    let store = connect::open(world.database.url(), options).await.unwrap();
    let slow = "CREATE SEQUENCE asked; ALTER TABLE alert_events RENAME TO events_kept; \
        CREATE VIEW alert_events AS SELECT * FROM events_kept \
        WHERE (SELECT nextval('asked') > 0 AND pg_sleep(60) IS NOT NULL)";
    world.database.execute(slow).await;
    let read = store.events(world.organization, 0, PageSize::MAX).await;
    assert!(matches!(read, Err(StoreError::Cancelled(_))), "{read:?}");
    assert_eq!(world.database.count("SELECT last_value FROM asked").await, 1);
}

/// A row that can't be decoded fails the reading of all. On one thread, where all changes wait before anything is done.
#[tokio::test]
async fn a_row_that_can_t_be_read_leaves_the_others_their_shared_commit() {
    let world = World::new(DatabaseKind::Postgres).await;
    let damaged = world.flag(world.alert()).await;
    let (second, third) = (world.add_organization("second").await, world.add_organization("third").await);
    let damage = "UPDATE alerts SET escalated_to = ARRAY[NULL]::text[]; \
        CREATE TABLE commits (number xid8); \
        CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN INSERT INTO commits VALUES (pg_current_xact_id()); RETURN NULL; END'; \
        CREATE TRIGGER note_commit AFTER UPDATE ON event_heads FOR EACH ROW EXECUTE FUNCTION note_commit()";
    world.database.execute(damage).await;
    let store = &world.store;
    let changes = [
        world.move_to(damaged.id, StatusKey::parse("INVESTIGATING").unwrap()),
        world.flag_of(second),
        world.flag_of(third),
    ];
    let (refused, one, two) = tokio::join!(
        store.change_alert(&changes[0]),
        store.change_alert(&changes[1]),
        store.change_alert(&changes[2])
    );
    assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "{refused:?}");
    one.unwrap();
    two.unwrap();
    assert_eq!(world.database.count("SELECT count(*) FROM commits").await, 2);
    assert_eq!(world.database.count("SELECT count(DISTINCT number) FROM commits").await, 1);
}

/// Connections that were made while the name led to a server without writes must not stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_server_that_takes_no_writes_are_left() {
    let world = World::new(DatabaseKind::Postgres).await;
    let (_, name) = world.database.url().rsplit_once('/').unwrap();
    let name = name.split('?').next().unwrap();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    world.flag(world.alert()).await;
    world
        .database
        .execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on; {cut}"))
        .await;
    let started = Instant::now();
    // Until all connections lead to the server as it is now.
    while started.elapsed() < Duration::from_secs(2) {
        let refused = world.store.change_alert(&world.to_flag(world.alert())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(world.store.check().await.is_err());
    world
        .database
        .execute(&format!(
            "BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT"
        ))
        .await;
    let promoted = Instant::now();
    while let Err(error) = world.store.change_alert(&world.to_flag(world.alert())).await {
        assert!(promoted.elapsed() < Duration::from_secs(10), "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.store.check().await.unwrap();
    world.assert_sound().await;
}

/// Several servers may be named; whichever takes writes is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_servers_the_one_that_answers_is_used() {
    let world = World::new(DatabaseKind::Postgres).await;
    let (user, place) = world.database.url().split_once('@').unwrap();
    let (address, name) = place.split_once('/').unwrap();
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let query = name.find('?').map_or('?', |_| '&');
    let url =
        format!("{user}@{gone},{address}/{name}{query}target_session_attrs=read-write&connect_timeout=5");
    let options = Options { connections: 5, ..Options::for_command(OnOlderSchema::Refuse) };
    let store = connect::open(&url, options).await.unwrap();
    store.change_alert(&world.to_flag(world.alert())).await.unwrap();
    store.check().await.unwrap();
    world.assert_sound().await;
}

/// A head that is not where the feed ends, as after a partial restore: each change of its organization fails midway.
async fn an_organization_whose_head_is_wrong_leaves_the_others_alone(world: &World) {
    let other = world.add_organization("second").await;
    for _ in 0..3 {
        world.flag(world.alert()).await;
    }
    let moved = "UPDATE event_heads SET position = position - 1 WHERE position > 0";
    world.database.execute(moved).await;
    let store = world.database.open().await;
    let mut calls = JoinSet::new();
    for number in 0..40 {
        let is_wrong = number % 4 == 0;
        let change = if is_wrong { world.to_flag(world.alert()) } else { world.flag_of(other) };
        let store = Arc::clone(&store);
        calls.spawn(async move { (is_wrong, store.change_alert(&change).await) });
    }
    for (is_wrong, outcome) in calls.join_all().await {
        assert_eq!(outcome.is_err(), is_wrong, "{outcome:?}");
    }
    let verified = world.verify_of(other, 1).await.unwrap();
    assert_eq!(verified.events, 30);
}

/// One alert is closed and another, with the same key, reopened, in the same moment and in either order of their ids.
async fn a_deduplication_key_changes_hands_within_a_batch(world: &World) {
    swap(world, super::batches::together).await;
    world.assert_sound().await;
}

/// The same, seen from the database: no batch fails for it. On one thread, where both changes wait before anything is done.
#[tokio::test]
async fn no_batch_fails_because_a_deduplication_key_changes_hands() {
    let world = World::new(DatabaseKind::Postgres).await;
    let before = rollbacks(&world).await;
    swap(&world, async |_: &World, store: &Arc<dyn Store>, changes: &[AlertChange]| {
        let [one, two] = changes else { panic!("two change hands") };
        let (one, two) = tokio::join!(store.change_alert(one), store.change_alert(two));
        vec![one, two]
    })
    .await;
    world.store.close().await;
    // The sessions are told to end; they report as they do.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while world.database.count(sessions).await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rollbacks(&world).await, before, "a batch failed");
}

async fn swap(
    world: &World,
    together: impl AsyncFn(&World, &Arc<dyn Store>, &[AlertChange]) -> Vec<Outcome>,
) {
    let keyed = || NewAlert { dedup_key: Some(text("limit-7")), ..world.alert() };
    let first = world.flag(keyed()).await;
    let close = StatusKey::parse("RESOLVED").unwrap();
    world.store.change_alert(&world.move_to(first.id, close.clone())).await.unwrap();
    let second = world.flag(keyed()).await;
    let (mut open, mut closed) = (second.id, first.id);
    for _ in 0..6 {
        let changes = [world.move_to(open, close.clone()), world.move_to(closed, StatusKey::flagged())];
        let outcomes = together(world, &world.store, &changes).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        (open, closed) = (closed, open);
    }
}

/// How many transactions of the database were undone, as far as sessions have reported it, which they do at their end.
async fn rollbacks(world: &World) -> i64 {
    let mut connection = PgConnection::connect(world.database.url()).await.unwrap();
    let undone = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar(undone).fetch_one(&mut connection).await.unwrap()
}
