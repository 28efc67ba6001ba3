//! Following a feed: every event once, in order, whoever writes it and whatever is lost on the way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use redflag::{
    domain::{AlertEvent, AnomalyId, ChainHash, Head, HeadSignature, OrganizationId, Page, PageSize},
    error::Reason,
    feed::{Feed, Follower, Hub},
    store::{
        CommitSink, Commits, FeedStore, Store, StoreError,
        connect::{self, Options},
        schema::OnOlderSchema,
    },
};
use tokio::time::{sleep, timeout};

use super::on_every_store;
use super::world::{Changes, World};
use crate::support::DatabaseKind;

on_every_store!(
    a_follower_sees_what_this_process_commits,
    a_follower_begins_anywhere_and_goes_on_live,
    a_position_beyond_the_feed_is_refused,
    a_slow_follower_reads_what_is_no_longer_kept,
    many_followers_share_the_reading_of_new_events,
    no_event_is_kept_once_nobody_follows,
);

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// Another instance on the same database, whose commits reach its hub.
async fn instance(world: &World) -> (Arc<dyn Store>, Arc<Hub>) {
    let hub = Arc::new(Hub::default());
    let options = Options {
        connections: 7,
        sink: Commits::to(Arc::clone(&hub) as _),
        ..Options::for_command(OnOlderSchema::Refuse)
    };
    (connect::open(world.database.url(), options).await.unwrap(), hub)
}

/// Takes as many events as there are until the position.
async fn positions(follower: &mut Follower, until: i64) -> Vec<i64> {
    let mut seen = Vec::new();
    while follower.position() < until {
        let events = timeout(LONG, follower.next()).await.expect("events come").unwrap();
        seen.extend(events.iter().map(|event| event.position));
    }
    seen
}

async fn flag(world: &World, store: &Arc<dyn Store>, count: usize) {
    let flags = (0..count).map(|_| {
        let (store, alert, change) = (Arc::clone(store), world.alert(), world.change());
        tokio::spawn(async move { store.flag(alert, &change).await.unwrap() })
    });
    for flag in flags.collect::<Vec<_>>() {
        flag.await.unwrap();
    }
}

async fn a_follower_sees_what_this_process_commits(world: &World) {
    let (store, hub) = instance(world).await;
    let feed = Feed::new(Arc::clone(&store) as _, hub);
    let mut follower = feed.follow(world.organization, None).await.unwrap();
    flag(world, &store, 100).await;
    assert_eq!(positions(&mut follower, 100).await, (1..=100).collect::<Vec<_>>());
    assert!(follower.is_live());
    assert!(timeout(Duration::from_millis(50), follower.next()).await.is_err(), "nothing more has happened");
    // A repeat that history is silent of, and a change that changes nothing.
    flag(world, &store, 1).await;
    assert_eq!(positions(&mut follower, 101).await, [101]);
}

async fn a_follower_begins_anywhere_and_goes_on_live(world: &World) {
    let (store, hub) = instance(world).await;
    flag(world, &store, 30).await;
    let feed = Feed::new(Arc::clone(&store) as _, hub);
    let mut all = feed.follow(world.organization, Some(0)).await.unwrap();
    let mut some = feed.follow(world.organization, Some(17)).await.unwrap();
    assert!(!all.is_live());
    flag(world, &store, 30).await;
    assert_eq!(positions(&mut all, 60).await, (1..=60).collect::<Vec<_>>());
    assert_eq!(positions(&mut some, 60).await, (18..=60).collect::<Vec<_>>());
}

async fn a_position_beyond_the_feed_is_refused(world: &World) {
    let (store, hub) = instance(world).await;
    flag(world, &store, 2).await;
    let feed = Feed::new(store as _, hub);
    let refused = feed.follow(world.organization, Some(3)).await.err().unwrap();
    assert_eq!(
        (refused.reason(), refused.message()),
        (Reason::ValidationError, "the feed ends at position 2, 3 lies beyond")
    );
    let nobody = OrganizationId::from_uuid(uuid::Uuid::from_u128(5));
    assert_eq!(feed.follow(nobody, None).await.err().unwrap().reason(), Reason::NotFound);
}

async fn a_slow_follower_reads_what_is_no_longer_kept(world: &World) {
    let (store, hub) = instance(world).await;
    let feed = Feed::new(Arc::clone(&store) as _, hub);
    let mut slow = feed.follow(world.organization, None).await.unwrap();
    // More than a tail keeps.
    for _ in 0..6 {
        flag(world, &store, 250).await;
    }
    assert_eq!(positions(&mut slow, 1_500).await, (1..=1_500).collect::<Vec<_>>());
}

async fn no_event_is_kept_once_nobody_follows(world: &World) {
    let (store, hub) = instance(world).await;
    assert!(!hub.is_wanted());
    let feed = Feed::new(store as _, Arc::clone(&hub));
    let followers = (
        feed.follow(world.organization, None).await.unwrap(),
        feed.follow(world.organization, None).await.unwrap(),
    );
    assert!(hub.is_wanted());
    drop(followers);
    let ended = async {
        while hub.is_wanted() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, ended).await.expect("the tail ends with its last follower");
}

async fn many_followers_share_the_reading_of_new_events(world: &World) {
    let (writer, _) = instance_of(world).await;
    let counting = Arc::new(Counting { store: Arc::clone(&world.store), events: AtomicUsize::new(0) });
    // Its hub learns of nothing, as with commits of another instance.
    let feed = Feed::new(Arc::clone(&counting) as _, Arc::new(Hub::default()));
    let mut followers = Vec::new();
    for _ in 0..50 {
        followers.push(feed.follow(world.organization, None).await.unwrap());
    }
    flag(world, &writer, 40).await;
    for follower in &mut followers {
        assert_eq!(positions(follower, 40).await, (1..=40).collect::<Vec<_>>());
    }
    let reads = counting.events.load(SeqCst);
    assert!(reads <= 10, "{reads} reads for 50 followers");
}

/// Writes through the world's own store where only one may write to a database.
async fn instance_of(world: &World) -> (Arc<dyn Store>, Arc<Hub>) {
    match world.database.kind() {
        DatabaseKind::Sqlite => (Arc::clone(&world.store), Arc::default()),
        DatabaseKind::Postgres => instance(world).await,
    }
}

/// Counts the reads of a feed.
struct Counting {
    store: Arc<dyn Store>,
    events: AtomicUsize,
}

#[async_trait]
impl FeedStore for Counting {
    async fn events(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        self.events.fetch_add(1, SeqCst);
        self.store.events(organization, position, size).await
    }

    async fn alert_events(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        sequence: i64,
        size: PageSize,
    ) -> Result<Page<AlertEvent>, StoreError> {
        self.store.alert_events(organization, id, sequence, size).await
    }

    async fn head(&self, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
        self.store.head(organization).await
    }

    async fn head_signatures(
        &self,
        organization: OrganizationId,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, StoreError> {
        self.store.head_signatures(organization, position, size).await
    }

    async fn positions_following(
        &self,
        organization: OrganizationId,
        hash: ChainHash,
    ) -> Result<Vec<i64>, StoreError> {
        self.store.positions_following(organization, hash).await
    }
}

/// Two instances on one PostgreSQL: the second writes, the first is followed.
async fn two_instances(world: &World) -> (Arc<dyn Store>, Arc<dyn Store>, Arc<Hub>) {
    let (reader, hub) = instance(world).await;
    let (writer, its_hub) = instance(world).await;
    let (own, its) = (Arc::clone(&hub), Arc::clone(&its_hub));
    let (listening, notifying) = (Arc::clone(&reader), Arc::clone(&writer));
    tokio::spawn(async move {
        loop {
            // As a supervisor would.
            let _ = own.listen(listening.as_ref()).await;
            sleep(Duration::from_millis(100)).await;
        }
    });
    tokio::spawn(async move { its.notify(notifying.as_ref()).await });
    (reader, writer, hub)
}

const LISTENERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'";

async fn until_listening(world: &World) {
    while world.database.count(LISTENERS).await == 0 {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_wakes_followers_before_the_next_poll() {
    let world = World::new(DatabaseKind::Postgres).await;
    let (reader, writer, hub) = two_instances(&world).await;
    timeout(LONG, until_listening(&world)).await.unwrap();
    let mut follower = Feed::new(reader as _, hub).follow(world.organization, None).await.unwrap();
    let mut quick = 0;
    for position in 1..=10 {
        let began = std::time::Instant::now();
        flag(&world, &writer, 1).await;
        assert_eq!(positions(&mut follower, position).await, [position]);
        quick += usize::from(began.elapsed() < Duration::from_millis(400));
    }
    assert!(quick >= 6, "{quick} of 10 came before a poll would have found them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_also_while_listening_is_cut_again_and_again() {
    let world = World::new(DatabaseKind::Postgres).await;
    let (reader, writer, hub) = two_instances(&world).await;
    timeout(LONG, until_listening(&world)).await.unwrap();
    let mut follower = Feed::new(reader as _, hub).follow(world.organization, None).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
    let writing = async {
        for _ in 0..5 {
            flag(&world, &writer, 20).await;
            world.database.execute(cut).await;
            sleep(Duration::from_millis(200)).await;
        }
    };
    let (seen, ()) = tokio::join!(positions(&mut follower, 100), writing);
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    timeout(LONG, until_listening(&world)).await.expect("it listens again");
}
