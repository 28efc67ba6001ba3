//! Organizations that something came in the way of: for how long they count as contended, and when those that wait for a lock
//! are tried again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::domain::OrganizationId;

/// The jobs that a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// All organizations that nothing is in the way of.
    Main,
    /// Organizations with few jobs, while the main lane works on a large batch of others.
    Express,
    /// Organizations that another instance is at work on too: their jobs wait for it, which those of others must not.
    Contended,
    /// Organizations of which somebody holds a lock: one at a time, so that a lock costs the others nothing.
    Locked,
}

impl Lane {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// Each of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Main, Self::Express, Self::Contended, Self::Locked];
}

/// For how long an organization counts as contended after something came in the way of it.
const CONTENDED_FOR: Duration = Duration::from_secs(1);
/// For how long an organization counts as locked after a lock was in the way of it: callers who come back during a long lock
/// wait for it in [`Lane::Locked`], not in a statement that others share.
const LOCKED_FOR: Duration = Duration::from_mins(1);
/// How long to rest after waiting for a lock in vain: longer each time, up to the second of these.
pub const REST: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));
/// The longest rest grows by this with each organization that waits for a lock: they share a lane.
const REST_FOR_EACH: Duration = Duration::from_millis(50);
/// The longest rest of all: so late may the end of a lock be noticed.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// The reason why an organization's jobs were not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contended {
    /// Another instance changed the organization in between.
    Overtaken,
    /// Somebody holds a lock.
    Locked,
}

/// The organizations that something came in the way of.
#[derive(Debug, Default)]
pub struct Contentions(HashMap<OrganizationId, Contention>);

#[derive(Debug, Clone, Copy)]
struct Contention {
    until: Instant,
    /// While somebody holds a lock of it.
    rest: Option<Rest>,
}

/// A pause between two attempts to get a lock.
#[derive(Debug, Clone, Copy)]
struct Rest {
    span: Duration,
    until: Instant,
}

impl Contentions {
    /// The lane of an organization, where it is contended.
    pub fn lane(&self, organization: OrganizationId) -> Option<Lane> {
        let contention = self.0.get(&organization)?;
        Some(contention.rest.map_or(Lane::Contended, |_| Lane::Locked))
    }

    /// Returns true unless something came in the way of the organization lately.
    pub fn is_calm(&self, organization: OrganizationId, now: Instant) -> bool {
        self.0.get(&organization).is_none_or(|contention| contention.until <= now)
    }

    /// The organization to try next, of those that have rested and `may` be tried: whichever has waited in vain least often, for
    /// a lock that is held for a moment must not wait behind those that are held for minutes.
    pub fn rested(&self, now: Instant, may: impl Fn(OrganizationId) -> bool) -> Option<OrganizationId> {
        let resting = self.0.iter().filter_map(|(id, contention)| Some((contention.rest?, *id)));
        let rested = resting.filter(|(rest, id)| rest.until <= now && may(*id));
        rested.min_by_key(|(rest, _)| (rest.span, rest.until)).map(|(_, id)| id)
    }

    /// The next end of a rest of those with jobs that wait.
    pub fn next_end(&self, now: Instant, waits: impl Fn(OrganizationId) -> bool) -> Option<Instant> {
        let resting = self.0.iter().filter(|(id, _)| waits(**id));
        let ends = resting.filter_map(|(_, contention)| Some(contention.rest?.until));
        ends.filter(|until| *until > now).min()
    }

    /// Notes what came in the way of an organization.
    pub fn note(
        &mut self,
        organization: OrganizationId,
        contended: Contended,
        now: Instant,
        waits: impl Fn(OrganizationId) -> bool,
    ) {
        match contended {
            Contended::Overtaken => self.overtake(organization, now),
            Contended::Locked => self.rest(organization, now, waits),
        }
    }

    fn overtake(&mut self, organization: OrganizationId, now: Instant) {
        let contention = self.0.entry(organization).or_insert(Contention { until: now, rest: None });
        contention.until = contention.until.max(now + CONTENDED_FOR);
    }

    fn rest(&mut self, organization: OrganizationId, now: Instant, waits: impl Fn(OrganizationId) -> bool) {
        let before = self.0.get(&organization).and_then(|contention| contention.rest);
        let span = before.map_or(REST.0, |rest| (rest.span * 2).min(self.longest_rest(waits)));
        let until = now + span;
        let rest = Some(Rest { span, until });
        self.0.insert(organization, Contention { until: until + LOCKED_FOR, rest });
    }

    fn longest_rest(&self, waits: impl Fn(OrganizationId) -> bool) -> Duration {
        let resting = self.0.iter().filter(|(id, contention)| contention.rest.is_some() && waits(**id));
        let count = u32::try_from(resting.count()).unwrap_or(u32::MAX);
        REST_FOR_EACH.saturating_mul(count).clamp(REST.1, LONGEST_REST)
    }

    /// Notes that the jobs of an organization were done. Where there was a lock, or another instance was seen at work on it, it
    /// stays contended for a while.
    pub fn calm(&mut self, organization: OrganizationId, is_alone: bool) {
        if let Some(contention) = self.0.get_mut(&organization)
            && (contention.rest.take().is_some() || !is_alone)
        {
            contention.until = Instant::now() + CONTENDED_FOR;
        }
    }

    /// Forgets the organization, if nothing came in the way of it lately.
    pub fn forget_one(&mut self, organization: OrganizationId, now: Instant) {
        if self.is_calm(organization, now) {
            self.0.remove(&organization);
        }
    }

    /// Forgets those that nothing came in the way of lately, as far as no jobs of them wait.
    pub fn forget(&mut self, now: Instant, waits: impl Fn(OrganizationId) -> bool) {
        self.0.retain(|organization, contention| contention.until > now || waits(*organization));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(number))
    }

    /// So many organizations, each tried in vain so many times.
    fn locked(count: u128, times: usize, now: Instant) -> Contentions {
        let mut contentions = Contentions::default();
        for _ in 0..times {
            (0..count).for_each(|one| contentions.note(organization(one), Contended::Locked, now, |_| true));
        }
        contentions
    }

    fn rest_of(contentions: &Contentions, one: u128) -> Duration {
        contentions.0[&organization(one)].rest.unwrap().span
    }

    #[test]
    fn rests_grow_with_the_attempts_and_with_the_organizations_that_are_locked() {
        let now = Instant::now();
        for (count, times, expected) in
            [(1, 1, 25), (1, 2, 50), (1, 9, 200), (20, 2, 50), (20, 9, 1_000), (500, 9, 2_000)]
        {
            let rest = rest_of(&locked(count, times, now), 0);
            assert_eq!(rest, Duration::from_millis(expected), "{count} organizations, {times} attempts");
        }
    }

    #[test]
    fn an_organization_that_is_locked_newly_is_tried_before_those_that_are_for_long() {
        let now = Instant::now();
        let mut contentions = locked(20, 9, now);
        contentions.note(organization(99), Contended::Locked, now + Duration::from_secs(3), |_| true);
        let later = now + Duration::from_secs(4);
        assert_eq!(contentions.rested(later, |_| true), Some(organization(99)));
        assert!(contentions.rested(later, |id| id != organization(99)).is_some());
        assert_eq!(contentions.rested(now, |_| true), None, "all rest");
    }

    #[test]
    fn a_lock_is_remembered_after_its_callers_have_left_and_not_after_its_end() {
        let now = Instant::now();
        let (one, later) = (organization(0), now + Duration::from_secs(30));
        let mut contentions = locked(1, 1, now);
        contentions.forget(later, |_| false);
        contentions.forget_one(one, later);
        assert_eq!(contentions.lane(one), Some(Lane::Locked));
        contentions.calm(one, true);
        assert_eq!(contentions.lane(one), Some(Lane::Contended));
        contentions.forget_one(one, later);
        assert_eq!(contentions.lane(one), None);
    }
}
