//! A way to a database that can fall silent, as when the machine at its end is gone without a word.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the driver asks to see whether the database is there: SYNC, by itself.
const PING: &[u8] = b"S\0\0\0\x04";

/// A way that passes everything on, until it is told not to.
pub struct Way {
    address: SocketAddr,
    /// Connections that were made before it changed carry nothing any more, and stay.
    silence: watch::Sender<()>,
    trap: Arc<Mutex<Option<Trap>>>,
}

/// What makes connections fall silent; it comes to nobody's ears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// The next message that is sent, on all connections there are.
    Message,
    /// The next question whether the database is there, on the connection that asks it.
    Ping,
}

impl Way {
    /// A way to the server that `url` names.
    pub async fn to(url: &str) -> Self {
        let database = address(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silence, trap) = (watch::Sender::new(()), Arc::new(Mutex::new(None)));
        let (told, set) = (silence.clone(), Arc::clone(&trap));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&database).await.unwrap();
                tokio::spawn(pass_on(near, far, told.clone(), Arc::clone(&set)));
            }
        });
        Self { address, silence, trap }
    }

    /// The same URL by this way.
    pub fn url(&self, url: &str) -> String {
        url.replacen(address(url), &self.address.to_string(), 1)
    }

    /// All connections that there are fall silent.
    pub fn fall_silent(&self) {
        self.silence.send_replace(());
    }

    /// Sets a trap.
    pub fn set(&self, trap: Trap) {
        *self.trap.lock().unwrap() = Some(trap);
    }

    /// Waits until something was caught in the trap.
    pub async fn caught(&self) {
        let caught = async {
            while self.trap.lock().unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), caught).await.expect("something is caught");
    }
}

/// The host and port of a URL.
fn address(url: &str) -> &str {
    let (_, place) = url.split_once('@').expect("the URL names a user");
    place.split('/').next().unwrap_or(place)
}

async fn pass_on(
    near: TcpStream,
    far: TcpStream,
    silence: watch::Sender<()>,
    trap: Arc<Mutex<Option<Trap>>>,
) {
    let mut falls_silent = silence.subscribe();
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    let asking = async {
        let mut message = vec![0; 65_536];
        loop {
            let length = near_in.read(&mut message).await.unwrap_or(0);
            let (message, caught) = (&message[..length], *trap.lock().unwrap());
            match caught {
                _ if message.is_empty() => return,
                Some(Trap::Message) => silence.send_replace(()),
                Some(Trap::Ping) if message == PING => {}
                _ => {
                    if far_out.write_all(message).await.is_err() {
                        return;
                    }
                    continue;
                }
            }
            *trap.lock().unwrap() = None;
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(asking);
    let answering = copy(&mut far_in, &mut near_out);
    tokio::select! {
        () = asking => {}
        _ = answering => {}
        _ = falls_silent.changed() => std::future::pending().await,
    }
}
