//! The findings of a verification.

use std::fmt;

use super::Signatures;
use crate::{
    domain::{AnomalyId, Disagreement, Head},
    error::Error,
    store::{Inconsistent, StoreError},
};

/// The result of a verification that found no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many events were verified.
    pub events: i64,
    /// The head of the feed when the verification began.
    pub head: Head,
    /// The events that are signed.
    pub signatures: Signatures,
    /// The position of the first alert that was adopted after somebody else's event. Nothing proves that it is older than
    /// histories are: whoever owns the tables can have any alert adopted. Not looked for where the feed is verified in part.
    pub late_adoption: Option<i64>,
    /// How many alerts are older than histories are and have none yet: of them nothing was verified.
    pub without_history: i64,
}

/// A fault of an event of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is not what its hash was taken of, or does not follow the event before it.
    Changed,
    /// It is not there.
    Missing,
    /// The event that belongs here stands at this other position.
    Reordered(i64),
}

/// The first fault that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// An event of the feed.
    Event(i64, Problem),
    /// The head, which does not name the last event.
    Head(Head),
    /// The head, which is not there or can't be read.
    HeadMissing,
    /// The signature of the head at this position, which is not by the key that it names, or of other events.
    Signature(i64),
    /// A signature of a head that lies beyond the present one: the position of the present head, and of the signed one.
    SignedBeyond(i64, i64),
    /// An alert whose row disagrees with its history.
    Alert(AnomalyId, Disagreement),
    /// An alert that has a history and no row.
    AlertMissing(AnomalyId),
    /// Histories that tell more or less than the feed did a moment before.
    Disturbed,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(position, Problem::Changed) => {
                write!(f, "broken at position {position}: the event was changed")
            }
            Self::Event(position, Problem::Missing) => {
                write!(f, "broken at position {position}: the event is missing")
            }
            Self::Event(position, Problem::Reordered(other)) => {
                write!(f, "broken at position {position}: reordered, its event stands at position {other}")
            }
            Self::Head(Head { position, hash }) => {
                write!(f, "broken at the head, position {position}: {hash} is not where the feed ends")
            }
            Self::Signature(position) => {
                write!(
                    f,
                    "broken at position {position}: the signature does not fit the events before it and its key"
                )
            }
            Self::SignedBeyond(head, signed) => {
                write!(f, "broken at the head, position {head}: there is a signature for position {signed}")
            }
            Self::HeadMissing => f.write_str("broken at the head: it is missing or can't be read"),
            Self::Disturbed => {
                f.write_str("the histories of alerts were changed while they were read: verify again")
            }
            Self::Alert(id, disagreement) => {
                write!(f, "the alert {id} disagrees with its history: {disagreement}")
            }
            Self::AlertMissing(id) => write!(f, "the alert {id} is missing, its history is there"),
        }
    }
}

/// The failure of a verification.
#[derive(Debug)]
pub enum Unverified {
    /// The feed or an alert is broken.
    Broken(Broken),
    /// It could not be read.
    Failed(Error),
}

impl Unverified {
    /// An alert whose row makes no sense: somebody else has written it.
    pub(super) fn unreadable(inconsistent: Inconsistent) -> Self {
        match AnomalyId::parse(&inconsistent.row) {
            Ok(id) => Broken::Alert(id, Disagreement::Row(inconsistent.column.to_owned())).into(),
            Err(_) => Self::from(StoreError::Inconsistent(inconsistent)),
        }
    }
}

impl From<Broken> for Unverified {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<StoreError> for Unverified {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}
