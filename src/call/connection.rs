//! The connection of a call, as far as admission needs it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{answers::Answers, domain::OrganizationId};

/// The state of a connection that admission needs; among the extensions of its requests.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// The address of its other end, where it has one.
    peer: Option<SocketAddr>,
    /// The network that it comes from, where addresses tell callers apart.
    network: Option<IpAddr>,
    /// The room for its large answers, which it shares with all others.
    answers: Answers,
    /// The organization of the first valid key that was shown.
    organization: OnceLock<OrganizationId>,
    /// Calls in work whose key is valid.
    admitted: AtomicUsize,
    /// Calls in work on the services that need no key, streams included.
    open: AtomicUsize,
}

impl Connection {
    /// A connection with `peer` that has shown nothing yet, from `network` where addresses tell callers apart.
    pub fn new(answers: Answers, peer: Option<SocketAddr>, network: Option<IpAddr>) -> Self {
        let (organization, admitted, open) = Default::default();
        Self(Arc::new(Shown { peer, network, answers, organization, admitted, open }))
    }

    /// The address of its other end: the caller, or the last proxy before this server.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// The network that it comes from, where addresses tell callers apart.
    pub fn network(&self) -> Option<IpAddr> {
        self.0.network
    }

    /// The organization of the first valid key that was shown.
    pub fn organization(&self) -> Option<OrganizationId> {
        self.0.organization.get().copied()
    }

    /// How many calls are in work whose key is valid.
    pub fn admitted(&self) -> usize {
        self.0.admitted.load(Relaxed)
    }

    /// One more call on the services that need no key, for as long as it is held; `None` when `most` are in work.
    pub fn open(&self, most: usize) -> Option<Counted> {
        let counted = Counted::new(&self.0, |shown| &shown.open);
        (self.0.open.load(Relaxed) <= most).then_some(counted)
    }

    /// One more call in work whose key is valid, for as long as it is held.
    pub(super) fn admit(&self, organization: OrganizationId) -> Counted {
        // Only the first is kept: a proxy may bring the calls of several.
        let _ = self.0.organization.set(organization);
        Counted::new(&self.0, |shown| &shown.admitted)
    }
}

/// Chooses one of the numbers.
type Counter = fn(&Shown) -> &AtomicUsize;

/// One more call of a kind, for as long as it is held.
#[derive(Debug)]
pub struct Counted(Arc<Shown>, Counter);

impl Counted {
    fn new(shown: &Arc<Shown>, counter: Counter) -> Self {
        counter(shown).fetch_add(1, Relaxed);
        Self(Arc::clone(shown), counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Relaxed);
    }
}

impl Connection {
    /// The room for large answers.
    pub(super) fn answers(&self) -> &Answers {
        &self.0.answers
    }
}
