//! Who changes something, when, and by which call.

use super::{KeyId, Name, Person, Timestamp};

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

/// The circumstances of a change; every writing method of the store takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContext {
    /// Who changes it.
    pub actor: Actor,
    /// When, by the injected clock.
    pub at: Timestamp,
    /// The id that traces the call (`x-request-id`).
    pub request_id: String,
}
