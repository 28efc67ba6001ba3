//! A database whose machine falls silent without a word: whoever comes once another is in its place must be served.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use redflag::store::{
    StoreError,
    connect::{self, Options},
    schema::OnOlderSchema,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::world::World;
use crate::support::DatabaseKind;

/// A way to the database that can fall silent.
struct Way {
    address: SocketAddr,
    /// Connections that were made before it changed carry nothing any more, and stay.
    silence: watch::Sender<()>,
}

impl Way {
    async fn to(database: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silence = watch::Sender::new(());
        let told = silence.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&database).await.unwrap();
                let mut falls_silent = told.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = falls_silent.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, silence }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_database_that_is_gone_give_their_places_to_others() {
    let world = World::new(DatabaseKind::Postgres).await;
    let (user, place) = world.database.url().split_once('@').unwrap();
    let (address, name) = place.split_once('/').unwrap();
    let way = Way::to(address.to_owned()).await;
    let through = format!("{user}@{}/{name}", way.address);
    // Longer than the database may be silent.
    let statement_timeout = Duration::from_mins(2);
    let options = Options { connections: 1, statement_timeout, ..Options::aside(OnOlderSchema::Refuse) };
    let store = connect::open(&through, options).await.unwrap();
    store.change_alert(&world.to_flag(world.alert())).await.unwrap();
    // The connection is back in its place, and was used too lately to be asked before it is used again. On a machine so busy
    // that it is asked, the change is served at once.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    way.silence.send_replace(());
    while let Err(error) = store.change_alert(&world.to_flag(world.alert())).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "{error}");
    }
    assert!(started.elapsed() < Duration::from_mins(1), "it waited for the limit of its statement");
    world.assert_sound().await;
}
