//! Jobs in one line for each organization, taken in turns, so that nobody waits behind another's flood.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::Job;
use crate::{domain::OrganizationId, store::StoreError};

/// The organization of a job, and about how much memory it holds.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The organization that waits for it.
    pub organization: OrganizationId,
    /// About how many bytes it holds.
    pub bytes: usize,
}

/// An amount of jobs: whichever of the two is reached first counts.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// How many bytes they hold.
    pub bytes: usize,
}

/// The most that one organization adds to a batch before the next has its turn, in units.
const TURN: usize = 16;
/// How many bytes weigh as much as a job by itself.
const UNIT: usize = 4 * 1024;
/// How often a full line is searched for jobs that nobody waits for any more.
const PURGE_EVERY: Duration = Duration::from_millis(10);

/// Returns the cost of a job in units: one for itself, and one for each [`UNIT`] of its bytes.
const fn units(bytes: usize) -> usize {
    1 + bytes / UNIT
}

/// The jobs that wait.
pub struct Turns<J> {
    lines: HashMap<OrganizationId, Line<J>>,
    /// The organizations with jobs, in the order in which they are served.
    order: VecDeque<OrganizationId>,
    waiting: Amount,
    room: Amount,
    purged: Option<Instant>,
}

/// The jobs of one organization, first come first served.
struct Line<J> {
    jobs: VecDeque<(J, usize)>,
    bytes: usize,
}

impl<J> Default for Line<J> {
    fn default() -> Self {
        Self { jobs: VecDeque::new(), bytes: 0 }
    }
}

/// Jobs that were taken together.
pub struct Taken<J> {
    /// Each with its organization and its bytes; those of one organization in their order.
    pub jobs: Vec<(Load, J)>,
    /// Their cost in units.
    pub units: usize,
}

impl<J> Taken<J> {
    /// No jobs.
    pub const fn nothing() -> Self {
        Self { jobs: Vec::new(), units: 0 }
    }
}

impl<J: Job> Turns<J> {
    /// Room for `room`; a job larger than all of it fits where nothing else waits.
    pub fn new(room: Amount) -> Self {
        let waiting = Amount { count: 0, bytes: 0 };
        Self { lines: HashMap::new(), order: VecDeque::new(), waiting, room, purged: None }
    }

    /// Returns true while nothing waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns true while jobs of the organization wait.
    pub fn has(&self, organization: OrganizationId) -> bool {
        self.lines.contains_key(&organization)
    }

    /// Adds a job. Where there is no room, the organization that takes most of it gives way: its last job is refused with
    /// [`StoreError::Busy`], which may be this one.
    pub fn push(&mut self, load: Load, job: J) {
        if self.is_full(load.bytes) {
            self.purge();
        }
        while self.is_full(load.bytes) {
            let own = self.share(load.organization, load.bytes);
            match self.longest().filter(|(_, share)| *share > own) {
                Some((longest, _)) => self.refuse_last(longest),
                None => return job.refuse(StoreError::Busy),
            }
        }
        self.line(load).push_back((job, load.bytes));
    }

    /// Puts jobs that were taken back to where they were, before all others of their organization.
    pub fn put_back(&mut self, jobs: Vec<(Load, J)>) {
        for (load, job) in jobs.into_iter().rev() {
            self.line(load).push_front((job, load.bytes));
        }
    }

    /// The line that one more job stands in, which is counted already.
    fn line(&mut self, load: Load) -> &mut VecDeque<(J, usize)> {
        self.waiting.count += 1;
        self.waiting.bytes += load.bytes;
        let line = self.lines.entry(load.organization).or_default();
        if line.jobs.is_empty() {
            self.order.push_back(load.organization);
        }
        line.bytes += load.bytes;
        &mut line.jobs
    }

    /// Takes jobs of the organizations that `may` be served, in turns, until there are as many as `limit` says, or none is left.
    /// At least one is taken, however large it is. Jobs that nobody waits for are dropped.
    pub fn take(&mut self, limit: Amount, may: impl Fn(OrganizationId, usize) -> bool) -> Taken<J> {
        let mut taken = Taken::nothing();
        let mut bytes = 0;
        let mut skipped = Vec::new();
        let is_full =
            |taken: &Taken<J>, bytes| taken.jobs.len() >= limit.count || (bytes >= limit.bytes && bytes > 0);
        while !is_full(&taken, bytes) {
            let Some(organization) = self.order.pop_front() else { break };
            let Some(line) = self.lines.get_mut(&organization) else { continue };
            if !may(organization, line.jobs.len()) {
                skipped.push(organization);
                continue;
            }
            let mut turn = 0;
            while turn < TURN && !is_full(&taken, bytes) {
                let Some((job, size)) = line.jobs.pop_front() else { break };
                line.bytes -= size;
                self.waiting.count -= 1;
                self.waiting.bytes -= size;
                if !job.is_abandoned() {
                    turn += units(size);
                    bytes += size;
                    taken.units += units(size);
                    taken.jobs.push((Load { organization, bytes: size }, job));
                }
            }
            if line.jobs.is_empty() {
                self.lines.remove(&organization);
            } else {
                self.order.push_back(organization);
            }
        }
        skipped.into_iter().rev().for_each(|organization| self.order.push_front(organization));
        taken
    }

    const fn is_full(&self, bytes: usize) -> bool {
        let Amount { count, bytes: held } = self.waiting;
        count > 0 && (count >= self.room.count || held + bytes > self.room.bytes)
    }

    /// How much of the room the organization takes with another job of `more` bytes, in thousandths.
    fn share(&self, organization: OrganizationId, more: usize) -> usize {
        let line = self.lines.get(&organization);
        let (count, bytes) = line.map_or((0, 0), |line| (line.jobs.len(), line.bytes));
        self.thousandths(count + 1, bytes + more)
    }

    fn thousandths(&self, count: usize, bytes: usize) -> usize {
        (count * 1_000 / self.room.count.max(1)).max(bytes * 1_000 / self.room.bytes.max(1))
    }

    /// The organization that takes most of the room.
    fn longest(&self) -> Option<(OrganizationId, usize)> {
        let shares = self
            .lines
            .iter()
            .map(|(organization, line)| (*organization, self.thousandths(line.jobs.len(), line.bytes)));
        shares.max_by_key(|(_, share)| *share)
    }

    fn refuse_last(&mut self, organization: OrganizationId) {
        let Some(line) = self.lines.get_mut(&organization) else { return };
        let Some((job, size)) = line.jobs.pop_back() else { return };
        line.bytes -= size;
        self.waiting.count -= 1;
        self.waiting.bytes -= size;
        if line.jobs.is_empty() {
            self.lines.remove(&organization);
            self.order.retain(|waiting| *waiting != organization);
        }
        job.refuse(StoreError::Busy);
    }

    /// Drops jobs that nobody waits for any more, unless that was done a moment ago.
    fn purge(&mut self) {
        if self.purged.is_some_and(|purged| purged.elapsed() < PURGE_EVERY) {
            return;
        }
        self.purged = Some(Instant::now());
        for line in self.lines.values_mut() {
            line.jobs.retain(|(job, _)| !job.is_abandoned());
            line.bytes = line.jobs.iter().map(|(_, size)| size).sum();
        }
        self.lines.retain(|_, line| !line.jobs.is_empty());
        self.order.retain(|organization| self.lines.contains_key(organization));
        let lines = self.lines.values();
        self.waiting.count = lines.clone().map(|line| line.jobs.len()).sum();
        self.waiting.bytes = lines.map(|line| line.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// A job with a number; the numbers of those that are refused are kept.
    struct Numbered(usize, Arc<Mutex<Vec<usize>>>, bool);

    impl Job for Numbered {
        fn is_abandoned(&self) -> bool {
            self.2
        }

        fn refuse(self, _: StoreError) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    const PLENTY: Amount = Amount { count: 1_000, bytes: 1 << 30 };

    struct Crowd {
        turns: Turns<Numbered>,
        refused: Arc<Mutex<Vec<usize>>>,
    }

    impl Crowd {
        fn with_room(count: usize, bytes: usize) -> Self {
            Self { turns: Turns::new(Amount { count, bytes }), refused: Arc::default() }
        }

        fn push(&mut self, organization: u128, number: usize, bytes: usize) {
            let job = Numbered(number, Arc::clone(&self.refused), false);
            self.turns.push(Load { organization: organization_of(organization), bytes }, job);
        }

        fn take(&mut self, limit: Amount) -> Vec<usize> {
            self.turns.take(limit, |_, _| true).jobs.into_iter().map(|(_, job)| job.0).collect()
        }
    }

    fn organization_of(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn organizations_are_served_in_turns() {
        let mut crowd = Crowd::with_room(1_000, 1 << 30);
        (0..100).for_each(|number| crowd.push(1, number, 0));
        crowd.push(2, 500, 0);
        let batch = crowd.take(Amount { count: 20, ..PLENTY });
        assert_eq!(batch, (0..16).chain([500]).chain(16..19).collect::<Vec<_>>());
        assert_eq!(crowd.take(PLENTY), (19..100).collect::<Vec<_>>());
        assert!(crowd.turns.is_empty());
    }

    #[test]
    fn a_batch_ends_at_its_bytes_and_holds_at_least_one_job() {
        let mut crowd = Crowd::with_room(1_000, 1 << 30);
        (0..4).for_each(|number| crowd.push(1, number, 100_000));
        assert_eq!(crowd.take(Amount { bytes: 150_000, ..PLENTY }), [0, 1]);
        assert_eq!(crowd.take(Amount { bytes: 1, ..PLENTY }), [2]);
    }

    #[test]
    fn who_may_not_be_served_keeps_the_place() {
        let mut crowd = Crowd::with_room(1_000, 1 << 30);
        crowd.push(1, 1, 0);
        crowd.push(2, 2, 0);
        crowd.push(3, 3, 0);
        let second = organization_of(2);
        let taken = crowd.turns.take(PLENTY, |organization, _| organization != second);
        assert_eq!(taken.jobs.len(), 2);
        crowd.turns.put_back(taken.jobs);
        crowd.push(1, 4, 0);
        assert_eq!(crowd.take(PLENTY), [2, 3, 1, 4]);
    }

    #[test]
    fn where_there_is_no_room_the_longest_line_gives_way() {
        let mut crowd = Crowd::with_room(4, 1 << 30);
        (0..5).for_each(|number| crowd.push(1, number, 0));
        assert_eq!(*crowd.refused.lock().unwrap(), [4], "alone, an organization may take all of it");
        crowd.push(2, 10, 0);
        crowd.push(2, 11, 0);
        crowd.push(2, 12, 0);
        assert_eq!(*crowd.refused.lock().unwrap(), [4, 3, 2, 12], "each has half of it");
        assert_eq!(crowd.take(PLENTY), [0, 1, 10, 11]);
    }

    #[test]
    fn bytes_count_as_room_too() {
        let mut crowd = Crowd::with_room(1_000, 100);
        crowd.push(1, 0, 1_000);
        assert!(crowd.refused.lock().unwrap().is_empty(), "whatever its size, one job fits");
        crowd.push(2, 1, 10);
        assert_eq!(*crowd.refused.lock().unwrap(), [0]);
    }

    #[test]
    fn who_has_left_makes_room() {
        let mut crowd = Crowd::with_room(1, 1 << 30);
        let left = Numbered(0, Arc::clone(&crowd.refused), true);
        crowd.turns.push(Load { organization: organization_of(1), bytes: 0 }, left);
        crowd.push(1, 1, 0);
        assert_eq!(crowd.take(PLENTY), [1]);
        assert!(crowd.refused.lock().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn every_job_is_taken_once_in_its_order_or_refused(
            jobs in proptest::collection::vec((1_u128..5, 0_usize..200), 1..80),
            room in 1_usize..40,
            size in 1_usize..10,
        ) {
            let mut crowd = Crowd::with_room(room, 2_000);
            for (number, (organization, bytes)) in jobs.iter().enumerate() {
                crowd.push(*organization, number, *bytes);
                prop_assert!(crowd.turns.waiting.count <= room);
            }
            let mut taken = Vec::new();
            while !crowd.turns.is_empty() {
                taken.extend(crowd.take(Amount { count: size, bytes: 300 }));
            }
            for organization in 1..5 {
                let own = taken.iter().filter(|number| jobs[**number].0 == organization);
                prop_assert!(own.is_sorted());
            }
            taken.extend(crowd.refused.lock().unwrap().iter());
            taken.sort_unstable();
            prop_assert_eq!(taken, (0..jobs.len()).collect::<Vec<_>>());
            prop_assert_eq!((crowd.turns.waiting.count, crowd.turns.waiting.bytes), (0, 0));
        }
    }
}
