//! Verifying that every alert is what its history made.

use std::collections::BTreeMap;

use super::{Broken, Unverified, Walk};
use crate::{
    domain::{Alert, AlertEvent, AnomalyId, Disagreement, Page, PageSize, Replay},
    store::StoreError,
};

/// How many alerts are read at once.
const ALERTS: PageSize = PageSize::DEFAULT;

impl Walk<'_> {
    /// Replays the history of every alert.
    pub(super) async fn verify_alerts(&mut self) -> Result<(), Unverified> {
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
    pub(super) async fn verify_alerts_of(&self, events: &[AlertEvent]) -> Result<(), Unverified> {
        let last: BTreeMap<_, _> = events.iter().map(|event| (event.anomaly_id, event.sequence)).collect();
        for (id, sequence) in last {
            if self.has_later_event(id, sequence).await? {
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
    async fn has_later_event(&self, id: AnomalyId, sequence: i64) -> Result<bool, Unverified> {
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
