//! Places for connections: a number in all, a share for each address, and room for new ones while strangers hold all.
//!
//! No places are kept back. When all are taken, those connections are closed that have been silent longest and never showed
//! a valid key: kept places would be taken by strangers too, and stand empty otherwise. Where there are none, those of the
//! organization that has most connections are told to go that have been idle longest. A call in work is never cut off.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::AbortHandle};

use super::connection_state::ConnectionState;
use crate::{config::ConnectionLimits, domain::OrganizationId};

/// How many connections are closed at once when all places are taken, so that they are seldom looked through.
const CLOSED_AT_ONCE: usize = 64;
/// How many connections that were told to go may still be there, besides those that have places.
const MOST_LEAVING: usize = 2 * CLOSED_AT_ONCE;
/// How often the log tells that connections are refused or closed.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The connections that are open.
pub struct Places {
    limits: ConnectionLimits,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    last_id: u64,
    connections: HashMap<u64, Open>,
    by_network: HashMap<IpAddr, usize>,
    /// How many were told to go, and are still there.
    leaving: usize,
    last_told: Option<Instant>,
}

/// A connection that is open.
struct Open {
    network: IpAddr,
    state: Arc<ConnectionState>,
    task: AbortHandle,
    is_leaving: bool,
}

/// The place of a connection, given back when it is dropped.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    network: IpAddr,
    /// When all are dropped, all connections have ended.
    _ended: mpsc::Sender<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().leave(self.id, self.network);
    }
}

impl Places {
    /// Places within `limits`, none of them taken.
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// Gives the connection `stream` from `peer` a place and `start`s the task that serves it; answers the connection where
    /// there is no place.
    pub fn take<S>(
        self: &Arc<Self>,
        (stream, peer): (S, IpAddr),
        state: Arc<ConnectionState>,
        ended: mpsc::Sender<()>,
        start: impl FnOnce(Place, S) -> AbortHandle,
    ) -> Option<S> {
        let network = network(peer);
        let mut taken = self.lock();
        let share = taken.by_network.get(&network).copied().unwrap_or_default();
        if self.limits.per_address > 0 && share >= self.limits.per_address {
            taken.tell("an address has its share of the connections");
            return Some(stream);
        }
        if taken.connections.len() - taken.leaving >= self.limits.total {
            taken.tell("all connections are taken");
            if !taken.make_room(self.limits.total) {
                return Some(stream);
            }
        }
        taken.last_id += 1;
        let id = taken.last_id;
        *taken.by_network.entry(network).or_default() += 1;
        let place = Place { places: Arc::clone(self), id, network, _ended: ended };
        // It can't leave before it is entered: leaving waits for the lock.
        let task = start(place, stream);
        taken.connections.insert(id, Open { network, state, task, is_leaving: false });
        None
    }

    /// Closes connections, for when the machine can take no further ones.
    pub fn make_room(&self) {
        self.lock().make_room(self.limits.total);
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Makes room for a connection beside `total` others. Whether there is some.
    fn make_room(&mut self, total: usize) -> bool {
        // Few of few: those who are told to go come back.
        self.close_strangers(CLOSED_AT_ONCE.min(total)) || self.displace((total / 8).clamp(1, CLOSED_AT_ONCE))
    }

    /// Closes the `count` connections that have been silent longest, of those that never showed a valid key. Whether there
    /// was one.
    fn close_strangers(&mut self, count: usize) -> bool {
        let strangers = self.connections.iter().filter(|(_, open)| !open.state.is_known());
        let mut strangers: Vec<_> = strangers.map(|(id, open)| (open.state.since(), *id)).collect();
        keep_smallest(&mut strangers, count);
        for (_, id) in &strangers {
            if let Some(open) = self.connections.get(id) {
                open.task.abort();
                let network = open.network;
                self.leave(*id, network);
            }
        }
        !strangers.is_empty()
    }

    /// Tells the `count` connections to go that have been idle longest, of the organization that has most. Whether there
    /// was one.
    fn displace(&mut self, count: usize) -> bool {
        let organization = self.largest();
        let staying = self.connections.iter().filter(|(_, open)| !open.is_leaving);
        let theirs = staying.filter(|(_, open)| open.state.organization() == organization);
        let idle = theirs.filter_map(|(id, open)| Some((open.state.idle_since()?, *id)));
        let mut idle: Vec<_> = idle.collect();
        keep_smallest(&mut idle, count.min(MOST_LEAVING.saturating_sub(self.leaving)));
        for (_, id) in &idle {
            if let Some(open) = self.connections.get_mut(id) {
                open.state.displace();
                open.is_leaving = true;
                self.leaving += 1;
            }
        }
        !idle.is_empty()
    }

    /// The organization that has most connections.
    fn largest(&self) -> Option<OrganizationId> {
        let mut counts: HashMap<_, usize> = HashMap::new();
        for open in self.connections.values().filter(|open| !open.is_leaving) {
            if let Some(organization) = open.state.organization() {
                *counts.entry(organization).or_default() += 1;
            }
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(organization, _)| organization)
    }

    /// Gives the place of a connection back, if it still has one.
    fn leave(&mut self, id: u64, network: IpAddr) {
        let Some(left) = self.connections.remove(&id) else { return };
        self.leaving -= usize::from(left.is_leaving);
        if let Some(share) = self.by_network.get_mut(&network) {
            *share -= 1;
            if *share == 0 {
                self.by_network.remove(&network);
            }
        }
    }

    fn tell(&mut self, what: &str) {
        if self.last_told.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            self.last_told = Some(Instant::now());
            tracing::warn!(
                connections = self.connections.len(),
                networks = self.by_network.len(),
                "{what}: connections are refused, or closed where they are idle or no valid key was shown"
            );
        }
    }
}

/// Keeps the `count` smallest.
fn keep_smallest<T: Ord>(values: &mut Vec<T>, count: usize) {
    if values.len() > count {
        values.select_nth_unstable(count);
        values.truncate(count);
    }
}

/// Returns the network whose share a connection counts in: its address, of IPv6 the /64 that one customer has to himself.
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
            IpAddr::V6(network)
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_shares_and_a_mapped_address_is_itself() {
        let network = |raw: &str| network(raw.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }
}
