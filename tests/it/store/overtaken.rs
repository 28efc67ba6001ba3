//! Changes on PostgreSQL in which another instance comes in between: they are done aside, and what arrives meanwhile follows.

use std::{sync::Arc, time::Duration};

use redflag::{
    domain::{AlertChange, AlertFilter, NewAlert},
    store::{
        Store, StoreError,
        connect::{self, Options},
        queue::GroupCommit,
        schema::OnOlderSchema,
    },
};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use super::world::World;
use crate::support::DatabaseKind;

/// Another instance that is at work on an organization.
pub struct Instance(PgConnection);

impl Instance {
    /// Lets nobody else change the organization until it is done.
    pub async fn at_work(world: &World) -> Self {
        let mut connection = PgConnection::connect(world.database.url()).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
        let hold = "SELECT position FROM event_heads WHERE organization_id = $1 FOR NO KEY UPDATE";
        sqlx::query(hold).bind(world.organization.uuid()).fetch_one(&mut connection).await.unwrap();
        Self(connection)
    }

    /// Waits until somebody waits for it.
    pub async fn is_waited_for(&mut self) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        for _ in 0..4_000 {
            if sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut self.0).await.unwrap() > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody waits");
    }

    pub async fn done(self) {
        self.0.close().await.unwrap();
    }
}

async fn open(world: &World, commits: GroupCommit) -> Arc<dyn Store> {
    let options = Options { connections: 4, commits, ..Options::for_command(OnOlderSchema::Refuse) };
    connect::open(world.database.url(), options).await.unwrap()
}

/// A change, on its way.
async fn change(store: Arc<dyn Store>, change: AlertChange) -> Result<(), StoreError> {
    store.change_alert(&change).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_another_instance_holds_keeps_no_other_waiting() {
    let world = World::new(DatabaseKind::Postgres).await;
    let other = world.add_organization("second").await;
    let store = open(&world, GroupCommit::DEFAULT).await;
    let instance = Instance::at_work(&world).await;
    let waiting = world.to_flag(world.alert());
    let mut waits = store.change_alert(&waiting);
    for _ in 0..3 {
        let alert = NewAlert { organization_id: other, ..world.alert() };
        let free = AlertChange { organization_id: other, ..world.to_flag(alert) };
        tokio::select! {
            biased;
            _ = &mut waits => panic!("the organization is held"),
            // Where it had to wait, it would do so for as long as the lock is held.
            done = tokio::time::timeout(Duration::from_secs(20), store.change_alert(&free)) => {
                done.expect("nobody waits for the other instance").unwrap();
            }
        }
    }
    instance.done().await;
    waits.await.unwrap();
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_another_instance_counts_as_waiting() {
    let world = World::new(DatabaseKind::Postgres).await;
    let store = open(&world, GroupCommit { size: 2, waiting: 3, in_flight: 1 }).await;
    let mut instance = Instance::at_work(&world).await;
    let mut calls = JoinSet::new();
    calls.spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
    instance.is_waited_for().await;
    // Three more have room, and so have those that are on their way there.
    for _ in 0..20 {
        calls.spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = calls.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    instance.done().await;
    let mut done = 0;
    for outcome in calls.join_all().await {
        match outcome {
            Ok(()) => done += 1,
            Err(error) => assert!(matches!(error, StoreError::Busy), "{error:?}"),
        }
    }
    // The first and three more; besides those for which there was room again.
    assert!((4..20).contains(&done), "{done} had room");
    assert_eq!(world.find(AlertFilter::default()).await.len(), done);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_meanwhile_has_nothing_done() {
    let world = World::new(DatabaseKind::Postgres).await;
    let store = open(&world, GroupCommit::DEFAULT).await;
    let mut instance = Instance::at_work(&world).await;
    let first = tokio::spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
    instance.is_waited_for().await;
    for _ in 0..3 {
        let call = change(Arc::clone(&store), world.to_flag(world.alert()));
        assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "it is held");
    }
    // Those who do the work learn that nobody waits any more.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let last = tokio::spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
    instance.done().await;
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(world.find(AlertFilter::default()).await.len(), 2);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_another_instance_is_done_before_the_end() {
    let world = World::new(DatabaseKind::Postgres).await;
    let store = open(&world, GroupCommit::DEFAULT).await;
    let mut instance = Instance::at_work(&world).await;
    let first = tokio::spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
    instance.is_waited_for().await;
    let second = tokio::spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let end = tokio::spawn(async move { store.close().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!end.is_finished());
    instance.done().await;
    end.await.unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(world.find(AlertFilter::default()).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_there_leaves_its_neighbours_alone() {
    let world = World::new(DatabaseKind::Postgres).await;
    let standing = world.flag(world.alert()).await;
    let store = open(&world, GroupCommit::DEFAULT).await;
    let mut instance = Instance::at_work(&world).await;
    let first = tokio::spawn(change(Arc::clone(&store), world.to_flag(world.alert())));
    instance.is_waited_for().await;
    let twin = NewAlert { id: standing.id, ..world.alert() };
    let alerts = [world.alert(), twin, world.alert()];
    let calls = alerts.map(|alert| tokio::spawn(change(Arc::clone(&store), world.to_flag(alert))));
    tokio::time::sleep(Duration::from_millis(50)).await;
    instance.done().await;
    first.await.unwrap().unwrap();
    let [one, twin, two] = calls;
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    let refused = twin.await.unwrap();
    assert!(matches!(&refused, Err(StoreError::Internal(_))), "{refused:?}");
    assert_eq!(world.find(AlertFilter::default()).await.len(), 4);
    world.assert_sound().await;
}
