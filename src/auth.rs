//! Callers: API keys, their verification and their permissions.

mod look_ups;
mod uses;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::{
    domain::{Actor, ApiKey, Clock, Invalid, KeyDigest, OrganizationId, Person, Scope, text::parse_line},
    error::{Error, Reason},
    store::Store,
};

use self::{look_ups::LookUps, uses::Uses};

/// A key's secret: what a caller presents. Never printed by accident.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The prefix of a generated secret.
    const PREFIX: &'static str = "rf_";
    /// The fewest characters a secret may have.
    pub const MIN: usize = 32;
    /// The most characters a secret may have.
    pub const MAX: usize = 200;
    /// How many characters are kept in clear to recognise a key by.
    const SHOWN: usize = 8;

    /// A new secret: 256 bits from the operating system.
    ///
    /// # Errors
    /// When the operating system has no random bits to give.
    pub fn generate() -> Result<Self, Error> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits).map_err(Error::internal)?;
        Ok(Self(format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(bits)).into()))
    }

    /// Reads a secret: [`Self::MIN`] to [`Self::MAX`] visible ASCII characters.
    ///
    /// # Errors
    /// When it is too short, too long or holds another character; never repeats the secret.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        if !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::new("must hold only visible ASCII characters"));
        }
        if !(Self::MIN..=Self::MAX).contains(&raw.len()) {
            let rule = format!("must be {} to {} characters, is {}", Self::MIN, Self::MAX, raw.len());
            return Err(Invalid::new(rule));
        }
        Ok(Self(raw.into()))
    }

    /// The digest that the store keeps and looks keys up by.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.0.expose_secret()).into())
    }

    /// The first characters, to recognise the key by.
    pub fn prefix(&self) -> String {
        self.0.expose_secret().chars().take(Self::SHOWN).collect()
    }

    /// The secret itself, to be shown once.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The verified caller of a call, and the id that traces the call.
#[derive(Debug, Clone)]
pub struct Caller {
    key: Arc<ApiKey>,
    request_id: String,
    on_behalf_of: Option<Person>,
}

impl Caller {
    /// The organization that the call is bounded by.
    pub fn organization_id(&self) -> OrganizationId {
        self.key.organization_id
    }

    /// The person responsible for the key.
    pub fn owner(&self) -> &Person {
        &self.key.owner
    }

    /// The key's id as text, for the log.
    pub fn key_id(&self) -> String {
        self.key.id.to_string()
    }

    /// Lets the call pass when the key allows `scope`.
    ///
    /// # Errors
    /// [`Reason::InsufficientPermissions`], with the scope that is missing.
    pub fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.key.scopes.allow(scope) {
            return Ok(());
        }
        let message = format!("the API key lacks the scope {scope}");
        Err(Error::new(Reason::InsufficientPermissions, message).with("missing_scope", scope.as_str()))
    }

    /// The author of the changes that this call makes.
    pub fn actor(&self) -> Actor {
        Actor {
            key_id: self.key.id,
            key_name: self.key.name.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
        }
    }

    /// The id that traces the call.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// The credentials of a call, as either face received them.
#[derive(Debug, Default)]
pub struct Credentials<'a> {
    /// The `authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The `x-blnk-key` header, the ledger core's own.
    pub blnk_key: Option<&'a [u8]>,
    /// The `x-redflag-actor` header.
    pub actor: Option<&'a [u8]>,
    /// The call's tracing id.
    pub request_id: &'a str,
    /// A header of these that was given more than once.
    pub repeated: Option<&'static str>,
}

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
    verified: Arc<Cache<KeyDigest, Arc<ApiKey>>>,
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

    /// Verifies who calls.
    ///
    /// # Errors
    /// [`Reason::MissingApiKey`], [`Reason::InvalidApiKey`] (also for a revoked key), [`Reason::ExpiredApiKey`],
    /// [`Reason::ValidationError`] for a malformed actor, [`Reason::Unavailable`] when the store does not answer,
    /// [`Reason::RateLimited`] when too many unknown keys are looked up already.
    pub async fn authenticate(&self, presented: Credentials<'_>) -> Result<Caller, Error> {
        if let Some(header) = presented.repeated {
            return Err(Error::violation(
                Reason::ValidationError,
                header,
                Invalid::new("must be given once"),
            ));
        }
        let digest = presented_secret(&presented)?.digest();
        let found = self.verified.try_get_with(digest, self.look_up(digest)).await;
        let key = found.map_err(|error: Arc<Error>| error.shared())?;
        if key.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(Error::new(Reason::ExpiredApiKey, "the API key has expired"));
        }
        let on_behalf_of = presented.actor.map(parse_actor).transpose()?;
        Ok(Caller { key, request_id: presented.request_id.to_owned(), on_behalf_of })
    }

    /// Writes when keys were last used to the store now and then, until `stopping` turns true.
    pub async fn write_uses_until(&self, stopping: watch::Receiver<bool>) {
        self.uses.write_until(self.store.as_ref(), stopping).await;
    }

    async fn look_up(&self, digest: KeyDigest) -> Result<Arc<ApiKey>, Error> {
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
        self.note_use(&key);
        Ok(Arc::new(key))
    }

    fn note_use(&self, key: &ApiKey) {
        let now = self.clock.now();
        if key.last_used_at.is_none_or(|at| now - at >= TOUCH_EVERY) {
            self.uses.note(key.id, now);
        }
    }
}

fn not_valid() -> Error {
    Error::new(Reason::InvalidApiKey, "the API key is not valid")
}

fn presented_secret(presented: &Credentials<'_>) -> Result<Secret, Error> {
    let missing = || {
        let message = "an API key is needed: send it as `Authorization: Bearer <key>`";
        Error::new(Reason::MissingApiKey, message)
    };
    let raw = match (presented.authorization.map(bearer), presented.blnk_key) {
        // Another scheme may be a proxy's, before which the key has its own header.
        (Some(Some(key)), _) | (_, Some(key)) => key,
        (Some(None), None) => {
            let message = "the `Authorization` header must read `Bearer <key>`";
            return Err(Error::new(Reason::InvalidApiKey, message));
        }
        (None, None) => return Err(missing()),
    };
    let raw = std::str::from_utf8(raw).map_err(|_| not_valid())?.trim();
    if raw.is_empty() {
        return Err(missing());
    }
    Secret::parse(raw).map_err(|_| not_valid())
}

/// The credentials of a `Bearer` header; the scheme is read in any case (RFC 9110 §11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked("Bearer".len())?;
    let named = scheme.eq_ignore_ascii_case(b"Bearer") && rest.first().is_none_or(|&byte| byte == b' ');
    named.then_some(rest)
}

fn parse_actor(raw: &[u8]) -> Result<Person, Error> {
    let parsed = match std::str::from_utf8(raw) {
        Ok(text) => parse_line(text, Person::parse),
        Err(_) => Err(Invalid::new("must be UTF-8")),
    };
    parsed.map_err(|rule| Error::violation(Reason::ValidationError, "x-redflag-actor", rule))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn secrets_are_visible_ascii_of_a_bounded_length(raw in "[!-~]{32,200}") {
            let secret = Secret::parse(&raw).unwrap();
            prop_assert_eq!(secret.reveal(), raw);
        }

        #[test]
        fn refusals_never_repeat_the_secret(raw in "[!-~]{12,31}") {
            let refused = Secret::parse(&raw).unwrap_err().to_string();
            prop_assert!(refused.contains("must be 32 to 200 characters") && !refused.contains(&raw));
        }
    }

    #[test]
    fn generated_secrets_differ_and_are_not_printed() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(one.reveal().starts_with("rf_") && one.reveal().len() == 46);
        assert_ne!(one.reveal(), two.reveal());
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(bearer(b"bearer abc"), Some(b" abc".as_slice()));
        assert_eq!(bearer(b"Bearerabc"), None);
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bear"), None);
    }
}
