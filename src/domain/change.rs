//! The circumstances of a change: actor, time, reason and call.

use uuid::Uuid;

use super::{Actor, Invalid, Text, Timestamp};

/// Why something was changed, in the caller's words; empty when nothing was said.
pub type Note = Text<0, 10_000>;

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
    pub trace_id: String,
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
