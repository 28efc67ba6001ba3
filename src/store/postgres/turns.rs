//! Where the changes of an organization take turns within this instance, and what it knows of the head it has left behind.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    domain::{AlertChange, Command, Head, Known, NewAlert, OrganizationId, StatusClass},
    store::known::Reading,
};

/// For how long every change reads the head once another instance was seen to move it.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The places where organizations take turns. Two organizations may share one.
pub struct Turns {
    places: Vec<Mutex<Turn>>,
    hasher: RandomState,
}

/// The turn of one change.
#[derive(Default)]
pub struct Turn {
    /// The head as the change before left it.
    left: Option<Left>,
    /// Until when another instance is taken to be at work on it.
    shared_until: Option<Instant>,
}

struct Left {
    organization: OrganizationId,
    head: Head,
    revision: i64,
}

impl Turns {
    /// How many organizations can change something at once.
    const PLACES: u64 = 256;

    /// Places where nobody is at work.
    pub fn new() -> Self {
        let places = (0..Self::PLACES).map(|_| Mutex::default()).collect();
        Self { places, hasher: RandomState::new() }
    }

    /// Waits for the organization's turn.
    pub async fn take(&self, organization: OrganizationId) -> MutexGuard<'_, Turn> {
        let place = self.hasher.hash_one(organization) % Self::PLACES;
        // There are few places, so their numbers fit.
        self.places[usize::try_from(place).unwrap_or_default()].lock().await
    }
}

impl Turn {
    /// All that a plain flag is decided from, where the head is known: it makes an alert in a built-in status that is not
    /// closed, which neither repeats anything nor depends on what the organization demands. Whether the head still is so
    /// shows when the alert is saved.
    pub fn recall(&mut self, change: &AlertChange) -> Option<Reading> {
        let Command::Flag(flag) = &change.command else { return None };
        let class = plain_class(flag).filter(|_| change.context.idempotency.is_none())?;
        let left = self.left.take_if(|left| left.organization == change.organization_id)?;
        let known = Known {
            head: left.head,
            requires_disposition: false,
            status_class: Some(class),
            alert: None,
            previous: None,
            rival: None,
        };
        Some(Reading { known, memory: None, revision: left.revision })
    }

    /// Notes the head that a change has left behind.
    pub fn leave(&mut self, organization: OrganizationId, head: Head, revision: i64) {
        if self.shared_until.is_none_or(|until| until <= Instant::now()) {
            self.left = Some(Left { organization, head, revision });
        }
    }

    /// Notes that another instance has moved the head.
    pub fn note_another(&mut self) {
        self.left = None;
        self.shared_until = Some(Instant::now() + SHARED_FOR);
    }
}

fn plain_class(flag: &NewAlert) -> Option<StatusClass> {
    let class = flag.status.builtin_class().filter(|class| *class != StatusClass::Closed);
    class.filter(|_| flag.dedup_key.is_none())
}
