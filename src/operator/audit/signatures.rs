//! Verification of signatures: the events of a feed that redflag itself appended, as far as they are signed.

use std::collections::BTreeSet;

use crate::domain::{AlertEvent, AuditKeyId, AuditPublicKey, ChainHash, HeadSignature};

/// How many stretches are named one by one, and how many foreign keys.
const MOST: usize = 1_000;

/// The result of verifying the signatures of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// How many there are.
    pub found: i64,
    /// How many of them are by keys that were not given, and prove nothing.
    pub by_other_keys: i64,
    /// These keys, at most 1,000 of them.
    pub other_keys: BTreeSet<AuditKeyId>,
    /// The events that are signed with a key that was given.
    pub signed: Stretches,
    /// The others.
    pub unsigned: Stretches,
    /// Up to where it is known which events are signed.
    settled: i64,
}

impl Signatures {
    /// None yet, of the events after `position`.
    pub(super) fn after(position: i64) -> Self {
        Self { settled: position, ..Self::default() }
    }

    /// Takes the signatures that end within `events`, in order.
    ///
    /// # Errors
    /// The position of the first that claims to be by one of `keys` and is not.
    pub(super) fn take(
        &mut self,
        signatures: &[HeadSignature],
        events: &[AlertEvent],
        keys: &[AuditPublicKey],
    ) -> Result<(), i64> {
        for signature in signatures {
            self.found += 1;
            let mut candidates = keys.iter().filter(|key| key.id() == signature.key_id).peekable();
            if candidates.peek().is_none() {
                self.note_other_key(signature.key_id);
                continue;
            }
            let hash = hash_at(events, signature.position).ok_or(signature.position)?;
            if !candidates.any(|key| signature.is_by(key, hash)) {
                return Err(signature.position);
            }
            self.settle_to(signature.first_position - 1);
            self.signed.add(signature.first_position.max(self.settled + 1), signature.position);
            self.settled = self.settled.max(signature.position);
        }
        Ok(())
    }

    /// Ends with the event at `position`: what no signature covered so far, none does.
    pub(super) fn settle_to(&mut self, position: i64) {
        self.unsigned.add(self.settled + 1, position);
        self.settled = self.settled.max(position);
    }

    fn note_other_key(&mut self, id: AuditKeyId) {
        self.by_other_keys += 1;
        if self.other_keys.len() < MOST {
            self.other_keys.insert(id);
        }
    }
}

fn hash_at(events: &[AlertEvent], position: i64) -> Option<ChainHash> {
    let first = events.first()?.position;
    let index = usize::try_from(position - first).ok()?;
    events.get(index).filter(|event| event.position == position).map(|event| event.hash)
}

/// Stretches of a feed, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stretches {
    /// The first and last position of each, at most 1,000 of them.
    pub ranges: Vec<(i64, i64)>,
    /// How many more there are.
    pub more: i64,
    /// How many events they hold in all.
    pub events: i64,
    /// The last position of the last one.
    last: Option<i64>,
}

impl Stretches {
    /// Adds a stretch after all others, or goes on with the last one. One that ends before it begins is none.
    fn add(&mut self, first: i64, last: i64) {
        if last < first {
            return;
        }
        self.events += last - first + 1;
        let goes_on = self.last.replace(last) == Some(first - 1);
        if !goes_on && self.ranges.len() < MOST {
            self.ranges.push((first, last));
        } else if !goes_on {
            self.more += 1;
        } else if self.more == 0
            && let Some(range) = self.ranges.last_mut()
        {
            range.1 = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_meet_are_one() {
        let mut stretches = Stretches::default();
        for (first, last) in [(1, 2), (3, 3), (5, 4), (6, 9)] {
            stretches.add(first, last);
        }
        assert_eq!((stretches.ranges.as_slice(), stretches.events), (&[(1, 3), (6, 9)][..], 7));
    }

    #[test]
    fn what_there_is_too_much_of_to_name_is_counted() {
        let mut stretches = Stretches::default();
        let many = i64::try_from(MOST).unwrap() + 2;
        for place in 0..many {
            stretches.add(3 * place, 3 * place);
            stretches.add(3 * place + 1, 3 * place + 1);
        }
        assert_eq!((stretches.ranges.len(), stretches.more, stretches.events), (MOST, 2, 2 * many));
    }
}
