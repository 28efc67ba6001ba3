//! A database whose machine falls silent without a word: whoever comes once another is in its place must be served.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redflag::{
    domain::{Alert, AlertFilter, KeyDigest},
    store::{
        Store, StoreError,
        connect::{self, Options},
        schema::OnOlderSchema,
    },
};
use rstest::rstest;
use tokio::time::timeout;

use super::world::{World, new_status};
use crate::support::{
    DatabaseKind,
    way::{Trap, Way},
};

/// Far longer than it takes to find out, and shorter than any other limit.
const PATIENCE: Duration = Duration::from_mins(1);

/// A store that reaches the database by a way that can fall silent.
async fn open(world: &World, connections: u32) -> (Arc<dyn Store>, Way) {
    let way = Way::to(world.database.url()).await;
    // Longer than the database may be silent.
    let statement_timeout = Duration::from_mins(5);
    let options = Options { connections, statement_timeout, ..Options::for_command(OnOlderSchema::Refuse) };
    (connect::open(&way.url(world.database.url()), options).await.unwrap(), way)
}

/// What is asked of the store, each on a share of connections of its own.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Change,
    LookUp,
    Key,
    List,
    Status,
}

impl Asked {
    async fn of(self, store: &Arc<dyn Store>, world: &World, alert: &Alert) -> Result<(), StoreError> {
        let organization = world.organization;
        match self {
            Self::Change => store.change_alert(&world.to_flag(world.alert())).await.map(drop),
            Self::LookUp => store.alert(organization, alert.id).await.map(drop),
            Self::Key => store.keys_by_digest(&[KeyDigest([9; 32])]).await.map(drop),
            Self::List => store.alerts(&world.query(AlertFilter::default())).await.map(drop),
            Self::Status => {
                let id = world.alert().id;
                let name = format!("S{}", &id.uuid().simple().to_string()[12..]).to_uppercase();
                store.create_status(organization, new_status(&name), &world.change()).await.map(drop)
            }
        }
    }

    /// Asks until it is answered.
    async fn until_served(self, store: &Arc<dyn Store>, world: &World, alert: &Alert) {
        let served = async {
            while let Err(error) = self.of(store, world, alert).await {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            }
        };
        timeout(PATIENCE, served).await.unwrap_or_else(|_| panic!("{self:?} is not served again"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_database_that_is_gone_give_their_places_to_others() {
    let world = World::new(DatabaseKind::Postgres).await;
    let alert = world.flag(world.alert()).await;
    let (store, way) = open(&world, 1).await;
    Asked::Change.of(&store, &world, &alert).await.unwrap();
    // The connection is back in its place, and was used too lately to be asked before it is used again. On a machine so busy
    // that it is asked, the change is served at once.
    tokio::time::sleep(Duration::from_millis(200)).await;
    way.fall_silent();
    Asked::Change.until_served(&store, &world, &alert).await;
    world.assert_sound().await;
}

/// The statement is on its way when the database falls silent.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_never_answered_gives_its_place_to_others(
    #[values(Asked::Change, Asked::LookUp, Asked::Key, Asked::List, Asked::Status)] asked: Asked,
) {
    let world = World::new(DatabaseKind::Postgres).await;
    let alert = world.flag(world.alert()).await;
    let (store, way) = open(&world, 5).await;
    asked.of(&store, &world, &alert).await.unwrap();
    way.set(Trap::Message);
    let started = Instant::now();
    asked.until_served(&store, &world, &alert).await;
    way.caught().await;
    assert!(started.elapsed() < PATIENCE, "it waited for the limit of its statement");
    world.assert_sound().await;
}

/// The call is answered, and the connection given back, when the database falls silent.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_on_its_way_back_gives_its_place_to_others(
    #[values(Asked::LookUp, Asked::Key, Asked::List, Asked::Status)] asked: Asked,
) {
    let world = World::new(DatabaseKind::Postgres).await;
    let alert = world.flag(world.alert()).await;
    let (store, way) = open(&world, 5).await;
    asked.of(&store, &world, &alert).await.unwrap();
    way.set(Trap::Ping);
    asked.of(&store, &world, &alert).await.unwrap();
    way.caught().await;
    asked.until_served(&store, &world, &alert).await;
}
