//! Which worker may take which jobs: the rules by which one organization's load or locks don't hold up the others.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{
    Job,
    contention::{Contended, Contentions, Lane},
    turns::{Amount, Load, Taken, Turns},
};
use crate::domain::OrganizationId;

/// A batch that costs so many units is large: others would notice that they wait for it.
const LARGE: usize = 24;
/// An organization with so many jobs is no longer one with few.
const FEW: usize = 8;
/// The most that a batch of the express lane holds.
const EXPRESS: Amount = Amount { count: 32, bytes: 256 * 1024 };
/// The most that is tried again of an organization that is locked.
const TRIED: Amount = Amount { count: 16, bytes: 256 * 1024 };
/// For how long organizations count as sharing the queue after another than before has put something in.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The answer to a worker that asks for jobs.
pub enum Next<J> {
    /// Jobs to do.
    Batch(Taken<J>),
    /// Nothing before that moment, unless something arrives.
    Wait(Option<Instant>),
    /// Nothing any more.
    End,
}

/// The jobs that wait, and what is in work.
pub struct Lanes<J> {
    turns: Turns<J>,
    /// The most that a batch holds, and the most while several organizations share the queue.
    batch: [Amount; 2],
    /// The organizations with jobs in a batch.
    held: HashSet<OrganizationId>,
    contended: Contentions,
    /// How many large batches are in work.
    large: usize,
    /// The organization of the last job, and until when the queue counts as shared.
    last: Option<OrganizationId>,
    shared_until: Option<Instant>,
    is_closed: bool,
}

impl<J: Job> Lanes<J> {
    /// Room for `room`, taken in batches of `batch`, or of `shared` while several organizations share the queue.
    pub fn new(room: Amount, batch: Amount, shared: Amount) -> Self {
        Self {
            turns: Turns::new(room),
            batch: [batch, shared],
            held: HashSet::new(),
            contended: Contentions::default(),
            large: 0,
            last: None,
            shared_until: None,
            is_closed: false,
        }
    }

    /// Takes in a job, and says which lanes may have something to do; `None` when the queue is closed.
    pub fn push(&mut self, load: Load, job: J) -> Option<[Option<Lane>; 2]> {
        if self.is_closed {
            return None;
        }
        let (organization, now) = (load.organization, Instant::now());
        // Jobs of no organization are short, and no caller's.
        if self.last != Some(organization) && organization != OrganizationId::NONE {
            self.shared_until = self.last.map(|_| now + SHARED_FOR);
            self.last = Some(organization);
        }
        self.contended.forget_one(organization, now);
        self.turns.push(load, job);
        Some(if let Some(lane) = self.contended.lane(organization) {
            [Some(lane), None]
        } else if self.held.contains(&organization) {
            [None; 2]
        } else {
            [Some(Lane::Main), (self.large > 0).then_some(Lane::Express)]
        })
    }

    /// Takes in nothing more.
    pub const fn close(&mut self) {
        self.is_closed = true;
    }

    /// Takes out all that is left, where nobody will do it.
    pub fn abandon(&mut self) -> Taken<J> {
        self.is_closed = true;
        self.turns.take(Amount { count: usize::MAX, bytes: usize::MAX }, |_, _| true)
    }

    /// Takes the jobs that the lane may do now. Their organizations are held until [`Self::finish`].
    pub fn next(&mut self, lane: Lane, now: Instant) -> Next<J> {
        let Self { turns, held, contended, .. } = self;
        let is_free = |organization| !held.contains(&organization);
        let is_calm = |organization| is_free(organization) && contended.is_calm(organization, now);
        let is_overtaken =
            |organization| is_free(organization) && contended.lane(organization) == Some(Lane::Contended);
        let is_shared = self.shared_until.is_some_and(|until| until > now);
        let taken = match lane {
            Lane::Main => turns.take(self.batch[usize::from(is_shared)], |id, _| is_calm(id)),
            Lane::Express if self.large == 0 => Taken::nothing(),
            Lane::Express => turns.take(EXPRESS, |id, jobs| jobs <= FEW && is_calm(id)),
            Lane::Contended => turns.take(self.batch[0], |id, _| is_overtaken(id)),
            Lane::Locked => self.take_rested(now),
        };
        if taken.jobs.is_empty() {
            return self.wait(lane, now);
        }
        self.held.extend(taken.jobs.iter().map(|(load, _)| load.organization));
        self.large += usize::from(is_large(lane, taken.units));
        Next::Batch(taken)
    }

    /// Takes jobs of one organization that waits for a lock and has rested.
    fn take_rested(&mut self, now: Instant) -> Taken<J> {
        loop {
            let Self { turns, held, contended, .. } = self;
            let may = |organization| turns.has(organization) && !held.contains(&organization);
            let Some(next) = contended.rested(now, may) else { return Taken::nothing() };
            let taken = turns.take(TRIED, |organization, _| organization == next);
            // If nobody waits for its jobs any more, it has none afterwards.
            if !taken.jobs.is_empty() {
                return taken;
            }
        }
    }

    fn wait(&mut self, lane: Lane, now: Instant) -> Next<J> {
        if self.is_closed && self.turns.is_empty() && self.held.is_empty() {
            return Next::End;
        }
        if lane != Lane::Locked {
            return Next::Wait(None);
        }
        let waits = |organization| self.turns.has(organization);
        self.contended.forget(now, waits);
        Next::Wait(self.contended.next_end(now, waits))
    }

    /// Takes jobs that may join a batch of `jobs`; where organizations share the queue, only of those that have nothing in it.
    pub fn join(&mut self, jobs: &[(Load, J)]) -> Taken<J> {
        let is_shared = self.shared_until.is_some_and(|until| until > Instant::now());
        if !is_shared {
            let [Amount { count, bytes }, _] = self.batch;
            let taken: usize = jobs.iter().map(|(load, _)| load.bytes).sum();
            let room = Amount { count: count.saturating_sub(jobs.len()), bytes: bytes.saturating_sub(taken) };
            return if room.bytes == 0 { Taken::nothing() } else { self.turns.take(room, |_, _| true) };
        }
        let present: HashSet<_> = jobs.iter().map(|(load, _)| load.organization).collect();
        let room = self.batch[1].count.saturating_mul(2).saturating_sub(jobs.len());
        let limit = Amount { count: room, ..self.batch[1] };
        self.turns.take(limit, |organization, _| !present.contains(&organization))
    }

    /// Puts jobs of a batch back to where they were, for [`Lane::Contended`] or [`Lane::Locked`].
    pub fn put_back(&mut self, jobs: Vec<(Load, J)>, contended: Contended) {
        let now = Instant::now();
        let organizations: HashSet<_> = jobs.iter().map(|(load, _)| load.organization).collect();
        self.turns.put_back(jobs);
        for organization in organizations {
            self.contended.note(organization, contended, now, |other| self.turns.has(other));
        }
    }

    /// Notes that the jobs of a contended organization were done, and whether another instance was seen at work on it.
    pub fn calm(&mut self, organization: OrganizationId, is_alone: bool) {
        self.contended.calm(organization, is_alone);
    }

    /// Lets go of the organizations of a batch; says whether there may be something to do.
    pub fn finish(&mut self, lane: Lane, held: &[OrganizationId], units: usize) -> bool {
        for organization in held {
            self.held.remove(organization);
        }
        self.large -= usize::from(is_large(lane, units));
        self.is_closed || !self.turns.is_empty()
    }

    /// Returns true where jobs are left that another worker could take.
    pub fn has_more(&self) -> bool {
        !self.turns.is_empty()
    }
}

fn is_large(lane: Lane, units: usize) -> bool {
    lane == Lane::Main && units >= LARGE
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::StoreError;

    struct Number(u32);

    impl Job for Number {
        fn is_abandoned(&self) -> bool {
            false
        }

        fn refuse(self, _: StoreError) {}
    }

    const ROOM: Amount = Amount { count: 1_000, bytes: 1 << 30 };

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(number))
    }

    fn lanes() -> Lanes<Number> {
        Lanes::new(ROOM, ROOM, ROOM)
    }

    fn push(lanes: &mut Lanes<Number>, of: u128, numbers: std::ops::Range<u32>) {
        for number in numbers {
            lanes.push(Load { organization: organization(of), bytes: 0 }, Number(number));
        }
    }

    fn next(lanes: &mut Lanes<Number>, lane: Lane) -> Vec<(Load, Number)> {
        match lanes.next(lane, Instant::now()) {
            Next::Batch(taken) => taken.jobs,
            Next::Wait(_) | Next::End => Vec::new(),
        }
    }

    fn numbers(jobs: &[(Load, Number)]) -> Vec<u32> {
        jobs.iter().map(|(_, Number(number))| *number).collect()
    }

    #[test]
    fn an_organization_is_in_one_batch_at_a_time() {
        let mut lanes = lanes();
        push(&mut lanes, 1, 0..2);
        assert_eq!(numbers(&next(&mut lanes, Lane::Main)), [0, 1]);
        push(&mut lanes, 1, 2..3);
        push(&mut lanes, 2, 3..4);
        assert_eq!(numbers(&next(&mut lanes, Lane::Main)), [3]);
        assert!(next(&mut lanes, Lane::Main).is_empty());
        lanes.finish(Lane::Main, &[organization(1)], 2);
        assert_eq!(numbers(&next(&mut lanes, Lane::Main)), [2]);
    }

    #[test]
    fn few_jobs_have_a_lane_beside_a_large_batch_and_only_then() {
        let mut lanes = lanes();
        push(&mut lanes, 1, 0..1);
        assert!(next(&mut lanes, Lane::Express).is_empty(), "the main lane is free");
        push(&mut lanes, 1, 1..100);
        assert_eq!(next(&mut lanes, Lane::Main).len(), 100);
        push(&mut lanes, 2, 0..9);
        assert!(next(&mut lanes, Lane::Express).is_empty(), "these are not few");
        push(&mut lanes, 3, 0..2);
        assert_eq!(numbers(&next(&mut lanes, Lane::Express)), [0, 1]);
        lanes.finish(Lane::Main, &[organization(1)], 100);
        push(&mut lanes, 4, 0..1);
        assert!(next(&mut lanes, Lane::Express).is_empty());
    }

    #[test]
    fn what_is_in_the_way_of_one_organization_leaves_the_others_alone() {
        let mut lanes = lanes();
        push(&mut lanes, 1, 0..2);
        let jobs = next(&mut lanes, Lane::Main);
        lanes.put_back(jobs, Contended::Overtaken);
        lanes.finish(Lane::Main, &[organization(1)], 2);
        push(&mut lanes, 1, 2..3);
        push(&mut lanes, 2, 9..10);
        assert_eq!(numbers(&next(&mut lanes, Lane::Main)), [9]);
        let jobs = next(&mut lanes, Lane::Contended);
        assert_eq!(numbers(&jobs), [0, 1, 2], "in their order");
        lanes.put_back(jobs, Contended::Locked);
        lanes.finish(Lane::Contended, &[organization(1)], 3);
        let Next::Wait(Some(until)) = lanes.next(Lane::Locked, Instant::now()) else {
            panic!("it rests");
        };
        assert!(matches!(lanes.next(Lane::Locked, until), Next::Batch(taken) if taken.jobs.len() == 3));
    }

    /// Puts a job of each organization back, as one that somebody holds a lock of.
    fn lock(lanes: &mut Lanes<Number>, organizations: std::ops::Range<u128>) {
        organizations.clone().for_each(|one| push(lanes, one, 0..1));
        let jobs = next(lanes, Lane::Main);
        lanes.put_back(jobs, Contended::Locked);
        lanes.finish(Lane::Main, &organizations.map(organization).collect::<Vec<_>>(), 0);
    }

    #[test]
    fn organizations_that_wait_for_locks_leave_those_alone_that_wait_for_another_instance() {
        let mut lanes = lanes();
        lock(&mut lanes, 1..21);
        push(&mut lanes, 99, 7..8);
        let jobs = next(&mut lanes, Lane::Main);
        assert_eq!(numbers(&jobs), [7]);
        lanes.put_back(jobs, Contended::Overtaken);
        lanes.finish(Lane::Main, &[organization(99)], 1);
        let later = Instant::now() + Duration::from_secs(1);
        let Next::Batch(taken) = lanes.next(Lane::Contended, later) else { panic!("there is one") };
        assert_eq!(numbers(&taken.jobs), [7]);
        // However long they wait, and whoever of them is tried meanwhile.
        let Next::Batch(tried) = lanes.next(Lane::Locked, later) else { panic!("there are twenty") };
        assert_eq!(tried.jobs.len(), 1, "one organization at a time");
        assert!(matches!(lanes.next(Lane::Main, later), Next::Wait(None)));
        push(&mut lanes, 100, 8..9);
        assert_eq!(numbers(&next(&mut lanes, Lane::Main)), [8]);
    }

    #[test]
    fn of_a_locked_organization_few_jobs_are_tried_until_its_lock_ends() {
        let mut lanes = lanes();
        lock(&mut lanes, 1..2);
        push(&mut lanes, 1, 1..100);
        let later = Instant::now() + Duration::from_secs(1);
        let Next::Batch(taken) = lanes.next(Lane::Locked, later) else { panic!("it has rested") };
        assert_eq!(taken.jobs.len(), 16);
        lanes.calm(organization(1), true);
        lanes.finish(Lane::Locked, &[organization(1)], 16);
        assert_eq!(next(&mut lanes, Lane::Contended).len(), 84, "the rest at once");
    }

    #[test]
    fn a_locked_organization_whose_callers_have_left_does_not_keep_the_next_waiting() {
        let mut lanes = Lanes::new(ROOM, ROOM, ROOM);
        for (of, has_left) in [(1, true), (2, false)] {
            let load = Load { organization: organization(of), bytes: 0 };
            lanes.push(load, Leaving(false));
            let Next::Batch(taken) = lanes.next(Lane::Main, Instant::now()) else { panic!("there is one") };
            let jobs = taken.jobs.into_iter().map(|(load, _)| (load, Leaving(has_left))).collect();
            lanes.put_back(jobs, Contended::Locked);
            lanes.finish(Lane::Main, &[organization(of)], 1);
        }
        let later = Instant::now() + Duration::from_secs(1);
        let Next::Batch(taken) = lanes.next(Lane::Locked, later) else { panic!("one waits") };
        assert_eq!(taken.jobs[0].0.organization, organization(2));
    }

    /// A job whose caller may have left.
    struct Leaving(bool);

    impl Job for Leaving {
        fn is_abandoned(&self) -> bool {
            self.0
        }

        fn refuse(self, _: StoreError) {}
    }

    #[test]
    fn an_organization_that_is_left_alone_is_contended_no_more() {
        let mut lanes = lanes();
        push(&mut lanes, 1, 0..1);
        let jobs = next(&mut lanes, Lane::Main);
        lanes.put_back(jobs, Contended::Overtaken);
        lanes.finish(Lane::Main, &[organization(1)], 1);
        let later = Instant::now() + Duration::from_secs(1);
        assert!(matches!(lanes.next(Lane::Main, later), Next::Batch(_)));
        lanes.finish(Lane::Main, &[organization(1)], 1);
        lanes.next(Lane::Locked, later);
        assert_eq!(lanes.contended.lane(organization(1)), None);
    }

    #[test]
    fn work_for_no_organization_makes_no_batch_short() {
        let mut lanes = Lanes::new(ROOM, ROOM, Amount { count: 2, ..ROOM });
        push(&mut lanes, 1, 0..1);
        lanes.push(Load { organization: OrganizationId::NONE, bytes: 0 }, Number(1));
        push(&mut lanes, 1, 2..9);
        assert_eq!(next(&mut lanes, Lane::Main).len(), 9);
    }

    #[test]
    fn where_organizations_share_the_queue_batches_are_short_and_newcomers_join() {
        let mut lanes = Lanes::new(ROOM, ROOM, Amount { count: 18, ..ROOM });
        push(&mut lanes, 1, 0..1);
        push(&mut lanes, 2, 1..2);
        push(&mut lanes, 1, 2..50);
        let jobs = next(&mut lanes, Lane::Main);
        assert_eq!(jobs.len(), 18);
        assert!(lanes.join(&jobs).jobs.is_empty(), "both have jobs in it");
        push(&mut lanes, 3, 99..100);
        assert_eq!(numbers(&lanes.join(&jobs).jobs), [99]);
    }
}
