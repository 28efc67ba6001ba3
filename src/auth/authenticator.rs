//! Verifies API keys, and caches them for a moment.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use subtle::ConstantTimeEq;

use super::{Caller, Credentials, Principal, Proof, credentials::not_valid, look_ups::LookUps, uses::Uses};
use crate::{
    domain::{ApiKey, Clock, KeyDigest},
    error::{Error, Reason},
    store::Store,
};

/// How long a verified key is believed: well within the five seconds after which a revoked key must not work.
const CACHE_TTL: Duration = Duration::from_secs(3);
/// How many verified keys are remembered.
const CACHE_SIZE: u64 = 10_000;
/// How coarsely the last use of a key is kept.
const TOUCH_EVERY: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// How long a key that was refused is refused without a look: a new key may take that long to work.
const REFUSED_FOR: Duration = Duration::from_secs(1);
/// How long after its last use a key that was valid is still looked up before those that nobody knows.
const KNOWN_FOR: Duration = Duration::from_mins(10);

/// Verifies API keys against the store, and remembers them for a moment so that the hot path does not ask each time.
///
/// Made-up keys keep nobody waiting: many are looked up in one statement, behind those that were valid a moment ago, and a
/// refusal is remembered too.
#[derive(Clone)]
pub struct Authenticator {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    verified: Arc<Cache<KeyDigest, Arc<Principal>>>,
    /// The digests that were refused just now.
    refused: Arc<Cache<KeyDigest, ()>>,
    /// The digests of keys that were valid not long ago.
    known: Arc<Cache<KeyDigest, ()>>,
    look_ups: LookUps,
    uses: Arc<Uses>,
}

impl Authenticator {
    /// An authenticator for the keys in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let verified = Cache::builder().max_capacity(CACHE_SIZE).time_to_live(CACHE_TTL).build();
        let refused = Cache::builder().max_capacity(CACHE_SIZE).time_to_live(REFUSED_FOR).build();
        let known = Cache::builder().max_capacity(CACHE_SIZE).time_to_idle(KNOWN_FOR).build();
        Self {
            look_ups: LookUps::new(Arc::clone(&store)),
            store,
            clock,
            verified: Arc::new(verified),
            refused: Arc::new(refused),
            known: Arc::new(known),
            uses: Arc::default(),
        }
    }

    /// Verifies the credentials of a call.
    ///
    /// # Errors
    /// [`Reason::MissingApiKey`], [`Reason::InvalidApiKey`] (also for a revoked key), [`Reason::ExpiredApiKey`],
    /// [`Reason::ValidationError`] for a malformed actor, [`Reason::Unavailable`] when the store does not answer,
    /// [`Reason::RateLimited`] when too many unknown keys are looked up already.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Caller, Error> {
        let principal = self.verify(credentials.secret()?.digest()).await?;
        Ok(Caller::new(principal, credentials.on_behalf_of()?, credentials.trace_id))
    }

    /// Checks that the proof of a principal still holds, for calls that go on for long: a revoked key is noticed within
    /// the time that keys are cached.
    ///
    /// # Errors
    /// As for [`Self::authenticate`].
    pub async fn recheck(&self, principal: &Principal) -> Result<(), Error> {
        match &principal.proof {
            Proof::Key { digest, .. } => self.verify(*digest).await.map(drop),
        }
    }

    async fn verify(&self, digest: KeyDigest) -> Result<Arc<Principal>, Error> {
        let found = self.verified.try_get_with(digest, self.look_up(digest)).await;
        let principal = found.map_err(|error: Arc<Error>| error.shared())?;
        if principal.has_expired(self.clock.now()) {
            return Err(Error::new(Reason::ExpiredApiKey, "the API key has expired"));
        }
        Ok(principal)
    }

    /// Writes when keys were last used to the store now and then, until `stopped` is done.
    pub async fn write_uses_until(&self, stopped: impl Future<Output = ()>) {
        self.uses.write_until(self.store.as_ref(), stopped).await;
    }

    async fn look_up(&self, digest: KeyDigest) -> Result<Arc<Principal>, Error> {
        let is_known = self.known.get(&digest).await.is_some();
        if !is_known && self.refused.contains_key(&digest) {
            return Err(not_valid());
        }
        let found = self.look_ups.find(digest, is_known).await?;
        let valid = |key: &ApiKey| key.revoked_at.is_none() && bool::from(key.digest.0.ct_eq(&digest.0));
        let Some(key) = found.filter(valid) else {
            self.known.invalidate(&digest).await;
            self.refused.insert(digest, ()).await;
            return Err(not_valid());
        };
        self.known.insert(digest, ()).await;
        self.record_use(&key);
        Ok(Arc::new(key.into()))
    }

    fn record_use(&self, key: &ApiKey) {
        let now = self.clock.now();
        if key.last_used_at.is_none_or(|at| now - at >= TOUCH_EVERY) {
            self.uses.record(key.id, now);
        }
    }
}
