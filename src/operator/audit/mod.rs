//! Verifying that a feed is complete and unchanged, and that every alert is what its history made.

mod alerts;
mod findings;
mod signatures;

pub use findings::{Broken, Problem, Unverified, Verified};
pub use signatures::{Signatures, Stretches};

use super::Operator;
use crate::{
    domain::{AlertEvent, AuditPublicKey, ChainHash, Head, OrganizationId, Page, PageSize},
    feed::{FeedReader, SignatureReader},
    store::StoreError,
};

impl Operator {
    /// Verifies the feed of an organization from the position `from` on: that no event up to the present head is
    /// changed, missing or at another's place, and that alerts are what their histories made: all of them when `from`
    /// is 1, otherwise those that the events are about. Tells `progress` how many steps of how many are done. Holds a
    /// page of events at a time, however long the feed is; changes that happen meanwhile don't disturb it.
    ///
    /// # Errors
    /// The first thing found broken, or why the feed could not be read.
    pub async fn verify(
        &self,
        organization: OrganizationId,
        from: i64,
        progress: &mut (dyn FnMut(i64, i64) + Send),
    ) -> Result<Verified, Unverified> {
        self.verify_signed(organization, from, &[], progress).await
    }

    /// The same, and tells which of the events are signed with one of `keys`. A signature that claims to be and is not breaks
    /// the feed; one that is missing does not.
    ///
    /// # Errors
    /// Those of [`Self::verify`].
    pub async fn verify_signed(
        &self,
        organization: OrganizationId,
        from: i64,
        keys: &[AuditPublicKey],
        progress: &mut (dyn FnMut(i64, i64) + Send),
    ) -> Result<Verified, Unverified> {
        let head = self.head_to_verify(organization).await?;
        let from = from.max(1);
        let feed = (head.position - from + 1).max(0);
        // Each event once more where all alerts are replayed.
        let all = if from == 1 { feed * 2 } else { feed };
        let adoptions = Adoptions::default();
        let mut walk = Walk {
            operator: self,
            organization,
            head,
            keys,
            signatures: Signatures::after(from - 1),
            adoptions,
            without_history: 0,
            steps: 0,
            all,
            progress,
        };
        let events = walk.verify_feed(from).await?;
        if from == 1 {
            walk.verify_alerts().await?;
        }
        let late_adoption = walk.adoptions.late.filter(|_| from == 1);
        let Walk { signatures, without_history, .. } = walk;
        Ok(Verified { events, head, signatures, late_adoption, without_history })
    }

    async fn head_to_verify(&self, organization: OrganizationId) -> Result<Head, Unverified> {
        match self.store.head(organization).await {
            Ok(Some(head)) => Ok(head),
            Ok(None) | Err(StoreError::Inconsistent(_)) => Err(Broken::HeadMissing.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The adoptions of a feed, as far as it was read.
#[derive(Default)]
struct Adoptions {
    /// Set once an event of another kind was read.
    have_ended: bool,
    /// The position of the first after such an event.
    late: Option<i64>,
}

impl Adoptions {
    fn note(&mut self, event: &AlertEvent) {
        if !event.is_adoption() {
            self.have_ended = true;
        } else if self.have_ended {
            self.late.get_or_insert(event.position);
        }
    }
}

/// A verification on its way.
struct Walk<'a> {
    operator: &'a Operator,
    organization: OrganizationId,
    /// The head of the feed when it began.
    head: Head,
    /// The keys whose signatures are verified.
    keys: &'a [AuditPublicKey],
    signatures: Signatures,
    adoptions: Adoptions,
    /// How many alerts wait for their adoption.
    without_history: i64,
    steps: i64,
    /// How many steps there are.
    all: i64,
    progress: &'a mut (dyn FnMut(i64, i64) + Send),
}

impl Walk<'_> {
    fn step(&mut self, steps: i64) {
        self.steps += steps;
        (self.progress)(self.steps, self.all);
    }

    /// Verifies the chain, and tells how many events it has from `from` on.
    async fn verify_feed(&mut self, from: i64) -> Result<i64, Unverified> {
        let mut last = self.start(from).await?;
        let operator = self.operator;
        let mut reader =
            FeedReader::new(operator.store.as_ref(), self.organization, last.position, self.head.position);
        while let Some(events) = reader.next().await.map_err(|error| unreadable(reader.position(), error))? {
            for event in &events {
                self.verify_event(event, last).await?;
                self.adoptions.note(event);
                last = event.head();
            }
            self.verify_signatures(&events).await?;
            if from > 1 {
                self.verify_alerts_of(&events).await?;
            }
            self.step(i64::try_from(events.len()).unwrap_or_default());
        }
        if last.position < self.head.position {
            return Err(Broken::Event(last.position + 1, Problem::Missing).into());
        }
        self.verify_head(last).await?;
        self.signatures.settle_to(last.position);
        Ok((self.head.position - from + 1).max(0))
    }

    /// The event before the first that is verified, which must be there: whoever names a position has seen the feed so long.
    async fn start(&self, from: i64) -> Result<Head, Unverified> {
        let before = from - 1;
        if before == 0 {
            return Ok(Head::EMPTY);
        }
        let missing = || Broken::Event(before, Problem::Missing);
        if before > self.head.position {
            return Err(missing().into());
        }
        let page = self.page_of(before - 1, PageSize::ONE).await?;
        let found = page.items.first().filter(|event| event.position == before);
        Ok(found.ok_or_else(missing)?.head())
    }

    /// The events after `position`.
    async fn page_of(&self, position: i64, size: PageSize) -> Result<Page<AlertEvent>, Unverified> {
        let read = self.operator.store.events(self.organization, position, size).await;
        read.map_err(|error| unreadable(position, error))
    }

    async fn verify_event(&self, event: &AlertEvent, last: Head) -> Result<(), Unverified> {
        let expected = last.position + 1;
        if event.position != expected {
            return Err(Broken::Event(expected, Problem::Missing).into());
        }
        if event.previous_hash == last.hash && event.compute_hash() == event.hash {
            return Ok(());
        }
        let problem = self.find_problem(event, last.hash).await?;
        Err(Broken::Event(expected, problem).into())
    }

    /// Why the event does not follow the one whose hash is `previous`.
    async fn find_problem(&self, event: &AlertEvent, previous: ChainHash) -> Result<Problem, Unverified> {
        let following = self.operator.store.positions_following(self.organization, previous).await?;
        if let Some(&other) = following.iter().find(|&&position| position != event.position) {
            return Ok(Problem::Reordered(other));
        }
        // An event is gone, and those after it were moved up.
        let moved = AlertEvent { position: event.position + 1, ..event.clone() };
        Ok(if moved.compute_hash() == event.hash { Problem::Missing } else { Problem::Changed })
    }

    /// Verifies the signatures of heads among the events.
    async fn verify_signatures(&mut self, events: &[AlertEvent]) -> Result<(), Unverified> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        let operator = self.operator;
        let mut reader = SignatureReader::new(
            operator.store.as_ref(),
            self.organization,
            first.position - 1,
            last.position,
        );
        while let Some(signatures) =
            reader.next().await.map_err(|error| unreadable_signature(reader.position(), error))?
        {
            self.signatures.take(&signatures, events, self.keys).map_err(Broken::Signature)?;
        }
        Ok(())
    }

    /// Checks that the head names the last event, and that neither an event nor a signature stands beyond.
    async fn verify_head(&self, last: Head) -> Result<(), Unverified> {
        if last != self.head {
            return Err(Broken::Head(self.head).into());
        }
        let beyond = self.page_of(self.head.position, PageSize::ONE).await?;
        let store = &self.operator.store;
        let signed_beyond = store.head_signatures(self.organization, self.head.position, PageSize::ONE).await;
        let signed_beyond = signed_beyond.map_err(|error| unreadable_signature(self.head.position, error))?;
        let (event, signature) = (beyond.items.first(), signed_beyond.items.first());
        if event.is_none() && signature.is_none() {
            return Ok(());
        }
        // Written meanwhile, unless the head stands still.
        let head = self.operator.head_to_verify(self.organization).await?;
        if event.is_some_and(|event| head.position < event.position) {
            return Err(Broken::Head(head).into());
        }
        match signature.filter(|signature| head.position < signature.position) {
            Some(signature) => Err(Broken::SignedBeyond(head.position, signature.position).into()),
            None => Ok(()),
        }
    }
}

/// The finding for a feed that can't be read after `position`: where an event makes no sense, somebody else has changed it.
fn unreadable(position: i64, error: StoreError) -> Unverified {
    match error {
        StoreError::Inconsistent(_) => Broken::Event(position + 1, Problem::Changed).into(),
        other => other.into(),
    }
}

/// The same for the signatures after `position`.
fn unreadable_signature(position: i64, error: StoreError) -> Unverified {
    match error {
        StoreError::Inconsistent(inconsistent) => {
            Broken::Signature(inconsistent.row.parse().unwrap_or(position + 1)).into()
        }
        other => other.into(),
    }
}
