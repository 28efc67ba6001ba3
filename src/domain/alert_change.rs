//! A change of one alert, as it is asked for: the command and its context.

use uuid::Uuid;

use super::{
    Actor, AlertPatch, AnomalyId, ChangeContext, DedupKey, EstimatedSize, NewAlert, Note, OrganizationId,
    Person, StatusKey, Timestamp, text::estimated_size,
};

/// A command for one alert.
#[derive(Debug, Clone)]
pub enum Command {
    /// Make it, or fold it into the open alert of its `dedup_key`.
    Flag(Box<NewAlert>),
    /// Change fields of it.
    Update(AnomalyId, Box<AlertPatch>),
    /// Escalate it to these people, at least one, and assign it to the first of them.
    Escalate(AnomalyId, Vec<Person>),
    /// Begin the history of an alert that is older than histories are.
    Adopt(AnomalyId),
}

/// A change of one alert.
#[derive(Debug, Clone)]
pub struct AlertChange {
    /// The organization of the alert.
    pub organization_id: OrganizationId,
    /// The command.
    pub command: Command,
    /// The versions that the alert may have, where the caller says so; never one that is made.
    pub expected_versions: Option<Vec<i64>>,
    /// Author, time and reason.
    pub context: ChangeContext,
}

impl AlertChange {
    /// The change that begins the history of an alert that is older than histories are.
    pub fn adopt(organization_id: OrganizationId, id: AnomalyId, at: Timestamp, event_id: Uuid) -> Self {
        let context = ChangeContext {
            actor: Actor::migration(),
            at,
            trace_id: String::new(),
            note: Note::literal("Made before histories were kept."),
            event_id,
            idempotency: None,
        };
        Self { organization_id, command: Command::Adopt(id), expected_versions: None, context }
    }

    /// The alert that it is about, unless it is to be made.
    pub const fn anomaly_id(&self) -> Option<AnomalyId> {
        match &self.command {
            Command::Flag(_) => None,
            Command::Update(id, _) | Command::Escalate(id, _) | Command::Adopt(id) => Some(*id),
        }
    }

    /// The status that it asks for.
    pub fn status(&self) -> Option<&StatusKey> {
        match &self.command {
            Command::Flag(alert) => Some(&alert.status),
            Command::Update(_, patch) => patch.status.as_ref(),
            Command::Escalate(..) | Command::Adopt(_) => None,
        }
    }

    /// The key that it folds by.
    pub fn dedup_key(&self) -> Option<&DedupKey> {
        match &self.command {
            Command::Flag(alert) => alert.dedup_key.as_ref(),
            Command::Update(..) | Command::Escalate(..) | Command::Adopt(_) => None,
        }
    }
}

/// About how many bytes a change holds besides what it asks for: its context, and its place in a queue.
const FIXED: usize = 1_024;

impl EstimatedSize for AlertChange {
    fn estimated_size(&self) -> usize {
        let asked = match &self.command {
            Command::Flag(alert) => alert.estimated_size(),
            Command::Update(_, patch) => patch.estimated_size(),
            Command::Escalate(_, to) => to.iter().map(|person| estimated_size(person.as_str())).sum(),
            Command::Adopt(_) => 0,
        };
        FIXED + asked + estimated_size(self.context.note.as_str())
    }
}
