//! When keys were last used: gathered in memory, and written in one statement for all of them now and then.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    domain::{KeyId, Timestamp},
    store::Store,
};

/// How often what has gathered is written.
const WRITTEN_EVERY: Duration = Duration::from_secs(2);
/// How long writing it may take.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How many keys may wait to be written; the use of further ones is noted the next time they are looked up.
const MAX_WAITING: usize = 10_000;

/// The uses that are not written yet. What is lost is made up at the key's next use: only a column that people look at
/// depends on it, so no call ever waits for it.
#[derive(Debug, Default)]
pub struct Uses(Mutex<BTreeMap<KeyId, Timestamp>>);

impl Uses {
    /// Notes that the key was used at `at`.
    pub fn record(&self, key: KeyId, at: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING || waiting.contains_key(&key) {
            waiting.insert(key, at);
        }
    }

    /// Writes what has gathered to `store` now and then, never twice at once, until `stopped` is done; then writes what is
    /// left.
    pub async fn write_until(&self, store: &dyn Store, stopped: impl Future<Output = ()>) {
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let is_stopping = timeout(WRITTEN_EVERY, &mut stopped).await.is_ok();
            self.write(store).await;
            if is_stopping {
                return;
            }
        }
    }

    /// Writes what has gathered to `store`.
    pub async fn write(&self, store: &dyn Store) {
        let used: Vec<_> = self.take().into_iter().collect();
        if used.is_empty() {
            return;
        }
        let count = used.len();
        match timeout(WRITE_LIMIT, store.touch_keys(&used)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, count, "the use of keys was not noted"),
            Err(_) => tracing::debug!(count, "the use of keys was not noted in time"),
        }
    }

    fn take(&self) -> BTreeMap<KeyId, Timestamp> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_latest_use_counts_and_the_number_of_keys_is_bounded() {
        let (uses, start) = (Uses::default(), Timestamp::UNIX_EPOCH);
        for index in 0..=u128::try_from(MAX_WAITING).unwrap() {
            uses.record(KeyId::from_uuid(Uuid::from_u128(index)), start);
        }
        let first = KeyId::from_uuid(Uuid::from_u128(0));
        uses.record(first, start + TimeDelta::seconds(1));
        let taken = uses.take();
        assert_eq!((taken.len(), taken[&first]), (MAX_WAITING, start + TimeDelta::seconds(1)));
        assert!(uses.take().is_empty());
    }
}
