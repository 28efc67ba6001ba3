//! Limits of streams without a key: in all, and for each network.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most streams in all.
const MAX_TOTAL: usize = 1_024;
/// The most streams of one network, so that others can still watch the server's health.
const MAX_PER_NETWORK: usize = 256;

/// The open streams.
#[derive(Debug, Default)]
pub struct Streams(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// The place of a stream, freed on drop.
#[derive(Debug)]
pub struct StreamPlace(Arc<Streams>, Option<IpAddr>);

impl Streams {
    /// Takes a place for a stream from `network`, if networks are limited; `None` when none is left.
    pub fn take(self: &Arc<Self>, network: Option<IpAddr>) -> Option<StreamPlace> {
        let mut open = self.lock();
        let share = network.map_or(0, |network| open.by_network.get(&network).copied().unwrap_or_default());
        if open.all >= MAX_TOTAL || share >= MAX_PER_NETWORK {
            return None;
        }
        open.all += 1;
        if let Some(network) = network {
            open.by_network.insert(network, share + 1);
        }
        Some(StreamPlace(Arc::clone(self), network))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let Self(streams, network) = self;
        let mut open = streams.lock();
        open.all -= 1;
        let Some(network) = network else { return };
        if let Some(share) = open.by_network.get_mut(network) {
            *share -= 1;
            if *share == 0 {
                open.by_network.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_gives_places_back() {
        let streams = Arc::new(Streams::default());
        let network = |last| Some(IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<_> = (0..MAX_PER_NETWORK).map(|_| streams.take(network(1)).unwrap()).collect();
        assert!(streams.take(network(1)).is_none());
        held.extend(
            (0..3)
                .flat_map(|last| (0..MAX_PER_NETWORK).map(move |_| last))
                .map(|last| streams.take(network(2 + last)).unwrap()),
        );
        assert!(streams.take(network(9)).is_none(), "more than there are in all");
        assert!(streams.take(None).is_none());
        drop(held);
        assert!(streams.take(network(1)).is_some());
        assert!(streams.lock().by_network.is_empty());
    }

    #[test]
    fn without_shares_there_is_the_number_in_all() {
        let streams = Arc::new(Streams::default());
        let held: Vec<_> = (0..MAX_TOTAL).map(|_| streams.take(None).unwrap()).collect();
        assert!(streams.take(None).is_none());
        drop(held);
        assert!(streams.take(None).is_some());
    }
}
