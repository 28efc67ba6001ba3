//! The alert, and what a change makes of it.

use super::{
    Actor, AffectedEntities, AnomalyId, Assignee, ChangeContext, Cursor, DedupKey, Description, Disposition,
    DispositionReason, EntityId, EntityType, EstimatedSize, Invalid, Metadata, OrganizationId, Person,
    Severity, StatusClass, StatusKey, Timestamp, Title, text::estimated_size,
};

/// The most people that one alert may be escalated to.
pub const MAX_ESCALATED_TO: usize = 50;

/// The overhead of an entry of a list in an answer, in bytes.
const WRAPPING: usize = 4;
/// The size of the ids, times, codes and field names of an alert in an answer, in bytes.
const FIXED: usize = 900;

/// The record that flagging makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The organization that it belongs to.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: AnomalyId,
    /// A summary, in a line.
    pub title: Title,
    /// The full description.
    pub description: Description,
    /// The kind of the entity that was flagged.
    pub kind: EntityType,
    /// The entities that it is about.
    pub entities: AffectedEntities,
    /// The status.
    pub status: StatusKey,
    /// The class of `status`.
    pub status_class: StatusClass,
    /// How bad it is.
    pub severity: Severity,
    /// The assignee.
    pub assigned_to: Assignee,
    /// The people that it was escalated to.
    pub escalated_to: Vec<Person>,
    /// The caller's metadata.
    pub metadata: Metadata,
    /// The outcome.
    pub disposition: Disposition,
    /// Why that was decided.
    pub disposition_reason: DispositionReason,
    /// When it was closed, while it is.
    pub closed_at: Option<Timestamp>,
    /// The author of the closing, while it is closed.
    pub closed_by: Option<Actor>,
    /// The key that its repeats share.
    pub dedup_key: Option<DedupKey>,
    /// How often it was flagged: 1 at creation, one more with every repeat that folds into it.
    pub occurrence_count: i64,
    /// When it was last flagged.
    pub last_occurred_at: Timestamp,
    /// The alert before it with the same `dedup_key`.
    pub previous_anomaly_id: Option<AnomalyId>,
    /// How many events its history has.
    pub sequence: i64,
    /// 1 at creation, one more with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Alert {
    /// The cursor of a list that ended with this alert.
    pub const fn cursor(&self) -> Cursor {
        Cursor { created_at: self.created_at, anomaly_id: self.id }
    }

    /// Returns true where its status is of the class closed.
    pub fn is_closed(&self) -> bool {
        self.status_class == StatusClass::Closed
    }

    /// Returns true where it has a disposition with a reason, which blanks are not.
    pub fn is_disposed(&self) -> bool {
        self.disposition != Disposition::Unspecified && !self.disposition_reason.as_str().trim().is_empty()
    }

    /// Checks that a reason stands only beside a disposition.
    ///
    /// # Errors
    /// When it stands alone.
    pub fn check_disposition(&self) -> Result<(), Invalid> {
        if self.disposition == Disposition::Unspecified && !self.disposition_reason.as_str().is_empty() {
            return Err(Invalid::new("must stand beside a disposition, the alert has none"));
        }
        Ok(())
    }

    /// The alert with the fields of `patch`, and nothing that follows from them. `status_class` is the class of the
    /// status that the patch asks for, or the present one.
    #[must_use]
    pub fn patched(&self, patch: &AlertPatch, status_class: StatusClass) -> Self {
        let mut alert = self.clone();
        replace(&mut alert.title, patch.title.as_ref());
        replace(&mut alert.description, patch.description.as_ref());
        replace(&mut alert.status, patch.status.as_ref());
        replace(&mut alert.severity, patch.severity.as_ref());
        replace(&mut alert.assigned_to, patch.assigned_to.as_ref());
        replace(&mut alert.escalated_to, patch.escalated_to.as_ref());
        replace(&mut alert.metadata, patch.metadata.as_ref());
        replace(&mut alert.entities.balances, patch.affected_balances.as_ref());
        replace(&mut alert.entities.transactions, patch.affected_transactions.as_ref());
        replace(&mut alert.entities.identities, patch.affected_identities.as_ref());
        alert.dispose(patch);
        alert.status_class = status_class;
        alert
    }

    /// Takes over the decision that the patch gives; taking a disposition back takes its reason back.
    fn dispose(&mut self, patch: &AlertPatch) {
        if patch.disposition == Some(Disposition::Unspecified) {
            self.disposition_reason = DispositionReason::default();
        }
        replace(&mut self.disposition, patch.disposition.as_ref());
        replace(&mut self.disposition_reason, patch.disposition_reason.as_ref());
    }

    /// Notes who closed it and when.
    pub fn close(&mut self, change: &ChangeContext) {
        self.closed_at = Some(change.at.max(self.updated_at));
        self.closed_by = Some(change.actor.clone());
    }

    /// Forgets the closing and the decision, but for what `patch` decides anew.
    pub fn reopen(&mut self, patch: &AlertPatch) {
        self.closed_at = None;
        self.closed_by = None;
        self.disposition = Disposition::Unspecified;
        self.disposition_reason = DispositionReason::default();
        self.dispose(patch);
    }

    /// Counts a change made at `at`.
    pub fn touch(&mut self, at: Timestamp) {
        self.version += 1;
        self.updated_at = at.max(self.updated_at);
    }
}

impl EstimatedSize for Alert {
    fn estimated_size(&self) -> usize {
        let texts = [
            self.title.as_str(),
            self.description.as_str(),
            self.assigned_to.as_str(),
            self.disposition_reason.as_str(),
            self.dedup_key.as_ref().map_or("", DedupKey::as_str),
        ];
        let texts: usize = texts.into_iter().map(estimated_size).sum();
        let entities: usize = self.entities.iter().map(|entity| entity.as_str().len() + WRAPPING).sum();
        let closed_by = self.closed_by.as_ref().map_or(0, EstimatedSize::estimated_size);
        FIXED + texts + people(&self.escalated_to) + entities + closed_by + self.metadata.estimated_size()
    }
}

impl EstimatedSize for NewAlert {
    fn estimated_size(&self) -> usize {
        let texts =
            [self.title.as_str(), self.description.as_str()].map(estimated_size).iter().sum::<usize>();
        let entities = self.entities.iter().map(|entity| entity.as_str().len() + WRAPPING).sum::<usize>();
        texts + entities + people(&self.escalated_to) + self.metadata.estimated_size()
    }
}

impl EstimatedSize for AlertPatch {
    fn estimated_size(&self) -> usize {
        let texts = [
            self.title.as_ref().map_or("", Title::as_str),
            self.description.as_ref().map_or("", Description::as_str),
            self.disposition_reason.as_ref().map_or("", DispositionReason::as_str),
        ];
        let entities = [&self.affected_balances, &self.affected_transactions, &self.affected_identities];
        let entities = entities.into_iter().flatten().flatten();
        texts.map(estimated_size).iter().sum::<usize>()
            + entities.map(|entity| entity.as_str().len() + WRAPPING).sum::<usize>()
            + self.escalated_to.as_deref().map_or(0, people)
            + self.metadata.as_ref().map_or(0, Metadata::estimated_size)
    }
}

/// Returns the estimated size of a list of people.
fn people(people: &[Person]) -> usize {
    people.iter().map(|person| estimated_size(person.as_str()) + WRAPPING).sum()
}

fn replace<T: Clone>(field: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

/// An alert to be made.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// The organization that it will belong to.
    pub organization_id: OrganizationId,
    /// Its id, fresh.
    pub id: AnomalyId,
    /// A summary, in a line.
    pub title: Title,
    /// The full description.
    pub description: Description,
    /// The kind of the entity that is flagged.
    pub kind: EntityType,
    /// The entities that it is about: 1 to [`AffectedEntities::MAX`].
    pub entities: AffectedEntities,
    /// The first status.
    pub status: StatusKey,
    /// How bad it is.
    pub severity: Severity,
    /// The assignee.
    pub assigned_to: Assignee,
    /// The people to escalate it to at once.
    pub escalated_to: Vec<Person>,
    /// The caller's metadata.
    pub metadata: Metadata,
    /// The key that its repeats share.
    pub dedup_key: Option<DedupKey>,
}

impl NewAlert {
    /// The alert as it stands once made, in a status of class `status_class`, after the alert `previous`.
    pub fn into_alert(
        self,
        status_class: StatusClass,
        previous: Option<AnomalyId>,
        change: &ChangeContext,
    ) -> Alert {
        Alert {
            organization_id: self.organization_id,
            id: self.id,
            title: self.title,
            description: self.description,
            kind: self.kind,
            entities: self.entities,
            status: self.status,
            status_class,
            severity: self.severity,
            assigned_to: self.assigned_to,
            escalated_to: self.escalated_to,
            metadata: self.metadata,
            disposition: Disposition::Unspecified,
            disposition_reason: DispositionReason::default(),
            closed_at: None,
            closed_by: None,
            dedup_key: self.dedup_key,
            occurrence_count: 1,
            last_occurred_at: change.at,
            previous_anomaly_id: previous,
            sequence: 0,
            version: 1,
            created_at: change.at,
            updated_at: change.at,
        }
    }
}

/// Changes of an alert's fields; `None` stays, lists and metadata are replaced whole.
#[derive(Debug, Clone, Default)]
pub struct AlertPatch {
    /// A new title.
    pub title: Option<Title>,
    /// A new description.
    pub description: Option<Description>,
    /// Another status.
    pub status: Option<StatusKey>,
    /// Another severity.
    pub severity: Option<Severity>,
    /// The new assignee.
    pub assigned_to: Option<Assignee>,
    /// The new list of people that it is escalated to.
    pub escalated_to: Option<Vec<Person>>,
    /// The new metadata.
    pub metadata: Option<Metadata>,
    /// The balances it is about now.
    pub affected_balances: Option<Vec<EntityId>>,
    /// The transactions it is about now.
    pub affected_transactions: Option<Vec<EntityId>>,
    /// The identities it is about now.
    pub affected_identities: Option<Vec<EntityId>>,
    /// The outcome; the unspecified one takes it back.
    pub disposition: Option<Disposition>,
    /// Why that was decided.
    pub disposition_reason: Option<DispositionReason>,
}
