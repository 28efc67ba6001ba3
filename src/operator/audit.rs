//! Verifying that a feed is complete and unchanged, and that every alert is what its history made.

mod findings;
mod signatures;

use std::collections::BTreeMap;

pub use findings::{Broken, Problem, Unverified, Verified};
pub use signatures::{Signatures, Stretches};

use super::Operator;
use crate::{
    domain::{
        Alert, AlertEvent, AnomalyId, AuditPublicKey, ChainHash, Disagreement, Head, HeadSignature,
        OrganizationId, Page, PageSize, Replay,
    },
    store::StoreError,
};

/// How many alerts are read at once.
const ALERTS: PageSize = PageSize::DEFAULT;

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
        while last.position < self.head.position {
            let page = self.page_of(last.position, PageSize::MAX).await?;
            let events = page.items.into_iter().take_while(|event| event.position <= self.head.position);
            let events: Vec<_> = events.collect();
            if events.is_empty() {
                return Err(Broken::Event(last.position + 1, Problem::Missing).into());
            }
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

    /// The events after `position`. Where the first of them can't even be read, somebody else has changed it.
    async fn page_of(&self, position: i64, size: PageSize) -> Result<Page<AlertEvent>, Unverified> {
        let read = self.operator.store.events(self.organization, position, size).await;
        read.map_err(|error| match error {
            StoreError::Inconsistent(_) => Broken::Event(position + 1, Problem::Changed).into(),
            other => other.into(),
        })
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
        let (mut after, mut has_more) = (first.position - 1, true);
        while has_more {
            let page = self.signatures_after(after, PageSize::MAX).await?;
            let within = page.items.partition_point(|signature| signature.position <= last.position);
            has_more = page.has_more && within == page.items.len();
            after = page.items.last().map_or(after, |signature| signature.position);
            let taken = self.signatures.take(&page.items[..within], events, self.keys);
            taken.map_err(Broken::Signature)?;
        }
        Ok(())
    }

    /// The signatures of heads after `position`. Where one can't even be read, somebody else has changed it.
    async fn signatures_after(
        &self,
        position: i64,
        size: PageSize,
    ) -> Result<Page<HeadSignature>, Unverified> {
        match self.operator.store.head_signatures(self.organization, position, size).await {
            Err(StoreError::Inconsistent(inconsistent)) => {
                let at = inconsistent.row.parse().unwrap_or(position + 1);
                Err(Broken::Signature(at).into())
            }
            read => Ok(read?),
        }
    }

    /// Checks that the head names the last event, and that neither an event nor a signature stands beyond.
    async fn verify_head(&self, last: Head) -> Result<(), Unverified> {
        if last != self.head {
            return Err(Broken::Head(self.head).into());
        }
        let beyond = self.page_of(self.head.position, PageSize::ONE).await?;
        let signed_beyond = self.signatures_after(self.head.position, PageSize::ONE).await?;
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

    /// Replays the history of every alert.
    async fn verify_alerts(&mut self) -> Result<(), Unverified> {
        let (mut after, mut replayed) = (None, 0);
        loop {
            let alerts = self.alerts_after(after).await?;
            for alert in &alerts.items {
                if self.waits_for_adoption(alert).await? {
                    self.without_history += 1;
                    continue;
                }
                let events = self.verify_alert(alert).await?;
                replayed += events;
                self.step(events);
            }
            after = alerts.items.last().map(|alert| alert.id).or(after);
            if !alerts.has_more {
                break;
            }
        }
        if replayed == self.head.position { Ok(()) } else { self.find_missing_alert().await }
    }

    async fn alerts_after(&self, after: Option<AnomalyId>) -> Result<Page<Alert>, Unverified> {
        let store = &self.operator.store;
        match store.alerts_after(self.organization, after, ALERTS).await {
            Err(StoreError::Inconsistent(inconsistent)) => Err(Unverified::unreadable(inconsistent)),
            read => Ok(read?),
        }
    }

    /// Replays the histories of the alerts that `events`, the last verified, are about; but of those that later events are
    /// about, when these are verified.
    async fn verify_alerts_of(&self, events: &[AlertEvent]) -> Result<(), Unverified> {
        let last: BTreeMap<_, _> = events.iter().map(|event| (event.anomaly_id, event.sequence)).collect();
        for (id, sequence) in last {
            if self.is_told_of_later(id, sequence).await? {
                continue;
            }
            match self.operator.store.alert(self.organization, id).await {
                Err(StoreError::Inconsistent(inconsistent)) => {
                    return Err(Unverified::unreadable(inconsistent));
                }
                read => match read? {
                    Some(alert) => drop(self.verify_alert(&alert).await?),
                    None => return Err(Broken::AlertMissing(id).into()),
                },
            }
        }
        Ok(())
    }

    /// Returns true where the part of the feed that is verified has a later event of the alert.
    async fn is_told_of_later(&self, id: AnomalyId, sequence: i64) -> Result<bool, Unverified> {
        let read = self.operator.store.alert_events(self.organization, id, sequence, PageSize::ONE).await;
        match read {
            // It is named when the feed comes to it.
            Err(StoreError::Inconsistent(_)) => Ok(true),
            read => Ok(read?.items.first().is_some_and(|later| later.position <= self.head.position)),
        }
    }

    /// Returns true where the alert had no history yet, and none was due, when it was read.
    async fn waits_for_adoption(&self, alert: &Alert) -> Result<bool, Unverified> {
        if alert.sequence != 0 {
            return Ok(false);
        }
        let store = &self.operator.store;
        if store.waits_for_adoption(self.organization, alert.id).await? {
            return Ok(true);
        }
        // Adopted since it was read.
        let first = store.alert_events(self.organization, alert.id, 0, PageSize::ONE).await?;
        Ok(first
            .items
            .first()
            .is_some_and(|event| event.is_adoption() && event.position > self.head.position))
    }

    /// Replays the history of an alert and compares; tells how many of its events stand in the verified part of the feed.
    async fn verify_alert(&self, alert: &Alert) -> Result<i64, Unverified> {
        let broken = |disagreement| Unverified::from(Broken::Alert(alert.id, disagreement));
        let (mut replay, mut verified, mut sequence) = (Replay::default(), 0, 0);
        loop {
            let store = &self.operator.store;
            let page = store.alert_events(self.organization, alert.id, sequence, PageSize::MAX).await?;
            for event in &page.items {
                let is_verified = event.position <= self.head.position;
                verified += i64::from(is_verified);
                if event.sequence <= alert.sequence {
                    replay.apply(event).map_err(broken)?;
                } else if is_verified {
                    // The row was there before the event was: it is older than its history.
                    return Err(broken(Disagreement::Row("sequence".to_owned())));
                }
                sequence = event.sequence;
            }
            if !page.has_more {
                break;
            }
        }
        replay.check(alert).map_err(broken)?;
        Ok(verified)
    }

    /// Finds the first alert that the feed tells of and that is not there.
    async fn find_missing_alert(&self) -> Result<(), Unverified> {
        let mut position = 0;
        while position < self.head.position {
            let page = self.page_of(position, PageSize::MAX).await?;
            for event in page.items.iter().filter(|event| event.sequence == 1) {
                if self.operator.store.alert(self.organization, event.anomaly_id).await?.is_none() {
                    return Err(Broken::AlertMissing(event.anomaly_id).into());
                }
            }
            position = page.items.last().map_or(self.head.position, |event| event.position);
        }
        Err(Broken::Disturbed.into())
    }
}
