//! Who changes something, when, why, and by which call.

use uuid::Uuid;

use super::{Invalid, KeyId, Name, Person, Text, Timestamp, Weighed, text::weight};

/// Why something was changed, in the caller's words; empty when nothing was said.
pub type Note = Text<0, 10_000>;

/// Who did it: an API key, and on whose behalf when the caller says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The key that was used.
    pub key_id: KeyId,
    /// What that key was called at the time.
    pub key_name: Name,
    /// On whose behalf, as the caller claims in `x-redflag-actor`.
    pub on_behalf_of: Option<Person>,
}

impl Weighed for Actor {
    fn weight(&self) -> usize {
        weight(self.key_name.as_str())
            + self.on_behalf_of.as_ref().map_or(0, |person| weight(person.as_str()))
    }
}

/// What names one intended change: `request_id` over gRPC, `Idempotency-Key` over REST.
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
    /// What the caller calls it.
    pub key: IdempotencyKey,
    /// A digest of all that was asked for.
    pub fingerprint: [u8; 32],
}

/// The circumstances of a change; every writing method of the store takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContext {
    /// Who changes it.
    pub actor: Actor,
    /// When, by the injected clock.
    pub at: Timestamp,
    /// The id that traces the call (`x-request-id`).
    pub request_id: String,
    /// Why.
    pub note: Note,
    /// A fresh UUID, for the event that the change writes.
    pub event_id: Uuid,
    /// Which intended change this is, when the caller says so.
    pub idempotency: Option<Idempotency>,
}

/// What a change answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was answered: now, or the first time.
    pub value: T,
    /// Whether the same intended change happened before, and nothing was changed now.
    pub is_replayed: bool,
}

impl<T> Answer<T> {
    /// The answer of a change that happened now.
    pub const fn fresh(value: T) -> Self {
        Self { value, is_replayed: false }
    }

    /// The answer of a change that had happened before.
    pub const fn replayed(value: T) -> Self {
        Self { value, is_replayed: true }
    }
}
