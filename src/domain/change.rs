//! The circumstances of a change: actor, time, reason and call.

use uuid::Uuid;

use super::{EstimatedSize, Invalid, KeyId, Name, Person, Text, Timestamp, text::estimated_size};

/// Why something was changed, in the caller's words; empty when nothing was said.
pub type Note = Text<0, 10_000>;

/// The author of a change: an API key, and the person it acts for when the caller names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The key that was used.
    pub key_id: KeyId,
    /// The name of the key at the time.
    pub key_name: Name,
    /// On whose behalf, as the caller claims in `x-redflag-actor`.
    pub on_behalf_of: Option<Person>,
}

impl EstimatedSize for Actor {
    fn estimated_size(&self) -> usize {
        estimated_size(self.key_name.as_str())
            + self.on_behalf_of.as_ref().map_or(0, |person| estimated_size(person.as_str()))
    }
}

/// The name of one intended change: `request_id` over gRPC, `Idempotency-Key` over REST.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The most characters a key may have.
    pub const MAX: usize = 200;

    /// Reads a key: 1 to [`Self::MAX`] visible ASCII characters.
    ///
    /// # Errors
    /// When it is empty, too long or holds another character.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        if raw.is_empty() {
            return Err(Invalid::new("must not be empty"));
        }
        if let Some((index, c)) = raw.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic()) {
            let rule =
                format!("must hold only visible ASCII characters, has {c:?} as character {}", index + 1);
            return Err(Invalid::new(rule));
        }
        if raw.len() > Self::MAX {
            return Err(Invalid::too_many(Self::MAX, "characters", raw.len()));
        }
        Ok(Self(raw.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One intended change: a repeat has the same key and the same fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key that the caller gave.
    pub key: IdempotencyKey,
    /// A digest of all that was asked for.
    pub fingerprint: [u8; 32],
}

/// The circumstances of a change; every writing method of the store takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContext {
    /// The author.
    pub actor: Actor,
    /// When, by the injected clock.
    pub at: Timestamp,
    /// The id that traces the call (`x-request-id`).
    pub request_id: String,
    /// Why.
    pub note: Note,
    /// A fresh UUID, for the event that the change writes.
    pub event_id: Uuid,
    /// The intended change, when the caller names it.
    pub idempotency: Option<Idempotency>,
}

/// The answer to a change, with idempotency: the first answer is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotent<T> {
    /// The answer: of now, or of the first time.
    pub value: T,
    /// True where the same intended change happened before, and nothing was changed now.
    pub is_replayed: bool,
}

impl<T> Idempotent<T> {
    /// The answer of a change that happened now.
    pub const fn fresh(value: T) -> Self {
        Self { value, is_replayed: false }
    }

    /// The answer of a change that had happened before.
    pub const fn replayed(value: T) -> Self {
        Self { value, is_replayed: true }
    }
}
