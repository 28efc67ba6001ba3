//! Looking up keys, many in a statement: however many unknown ones are tried, a valid one waits for two statements at most.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    domain::{ApiKey, KeyDigest},
    error::{Error, Reason},
    store::Store,
};

/// How many keys a statement looks up at most.
const BATCH: usize = 256;
/// How many keys that nobody knows may wait; further ones are refused.
const MOST_WAITING: usize = 4_096;

/// The key of a digest, if there is one.
type Found = Result<Option<ApiKey>, Arc<Error>>;
/// A digest that somebody waits for.
type Waiting = (KeyDigest, oneshot::Sender<Found>);

/// The look-ups that run and wait. There is one statement at a time.
#[derive(Clone)]
pub struct LookUps(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Keys that were valid not long ago, which come first.
    known: VecDeque<Waiting>,
    unknown: VecDeque<Waiting>,
    /// A task is at work until nothing waits.
    is_working: bool,
}

impl LookUps {
    /// Look-ups in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Shared { store, state: Mutex::default() }))
    }

    /// Looks up the key with this digest, with others that are looked up at the time.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] for a key that is not `is_known` when too many such wait; those of the store.
    pub async fn find(&self, digest: KeyDigest, is_known: bool) -> Result<Option<ApiKey>, Error> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut state = self.0.state();
            if !is_known && state.unknown.len() >= MOST_WAITING {
                let message = "too many unknown API keys are tried at once, try again";
                return Err(Error::new(Reason::RateLimited, message));
            }
            let queue = if is_known { &mut state.known } else { &mut state.unknown };
            queue.push_back((digest, answer));
            !std::mem::replace(&mut state.is_working, true)
        };
        if is_first {
            // In a task of its own: the caller that came first may go away while others wait for the same statement.
            tokio::spawn(work(Working(Arc::clone(&self.0))));
        }
        let found = answered.await.map_err(Error::internal)?;
        found.map_err(|error| error.shared())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between changes, none of which runs code that may panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the next statement looks up. Nothing: the work is done.
    fn next(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let State { known, unknown, is_working } = &mut *state;
        let batch: Vec<_> = std::iter::from_fn(|| known.pop_front().or_else(|| unknown.pop_front()))
            .filter(|(_, answer)| !answer.is_closed())
            .take(BATCH)
            .collect();
        *is_working = !batch.is_empty();
        batch
    }

    /// Looks the digests up: together, or, where one of the rows makes no sense, one by one.
    async fn find_all(&self, digests: &[KeyDigest]) -> Vec<Found> {
        match self.store.keys_by_digest(digests).await {
            Ok(keys) => {
                let keys: HashMap<_, _> = keys.into_iter().map(|key| (key.digest, key)).collect();
                digests.iter().map(|digest| Ok(keys.get(digest).cloned())).collect()
            }
            Err(error) => {
                let error = Error::from(error);
                if digests.len() == 1 || error.reason() != Reason::Internal {
                    let error = Arc::new(error);
                    return digests.iter().map(|_| Err(Arc::clone(&error))).collect();
                }
                let mut found = Vec::with_capacity(digests.len());
                for digest in digests {
                    let alone = self.store.keys_by_digest(&[*digest]).await;
                    found.push(
                        alone.map(|keys| keys.into_iter().next()).map_err(|error| Arc::new(error.into())),
                    );
                }
                found
            }
        }
    }
}

/// The work of the task; where it panics, the next look-up begins anew.
struct Working(Arc<Shared>);

impl Drop for Working {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().is_working = false;
        }
    }
}

async fn work(working: Working) {
    let shared = &working.0;
    loop {
        let batch = shared.next();
        if batch.is_empty() {
            return;
        }
        let digests: Vec<_> = batch.iter().map(|(digest, _)| *digest).collect();
        let found = shared.find_all(&digests).await;
        for ((_, answer), found) in batch.into_iter().zip(found) {
            // The caller may be gone.
            let _ = answer.send(found);
        }
    }
}
