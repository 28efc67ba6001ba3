//! The alert, and what a change makes of it.

use super::{
    AffectedEntities, AnomalyId, Assignee, ChangeContext, Cursor, Description, EntityId, EntityType, Invalid,
    Metadata, OrganizationId, Person, Severity, StatusClass, StatusKey, Timestamp, Title,
};

/// The most people that one alert may be escalated to.
pub const MAX_ESCALATED_TO: usize = 50;

/// What an answer wraps around each entry of a list, in bytes.
const WRAPPING: usize = 4;
/// What the ids, times, codes and names of fields of an alert take in an answer, in bytes.
const FIXED: usize = 600;

/// The record that flagging makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: AnomalyId,
    /// What happened, in a line.
    pub title: Title,
    /// What happened, in full.
    pub description: Description,
    /// The kind of the entity that was flagged.
    pub kind: EntityType,
    /// What it is about.
    pub entities: AffectedEntities,
    /// Where it stands.
    pub status: StatusKey,
    /// The class of `status`.
    pub status_class: StatusClass,
    /// How bad it is.
    pub severity: Severity,
    /// Who works on it.
    pub assigned_to: Assignee,
    /// Whom it was escalated to.
    pub escalated_to: Vec<Person>,
    /// What the caller keeps beside it.
    pub metadata: Metadata,
    /// 1 at creation, one more with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Alert {
    /// Where a list that ended with this alert continues.
    pub const fn cursor(&self) -> Cursor {
        Cursor { created_at: self.created_at, anomaly_id: self.id }
    }

    /// About how many bytes the alert takes in an answer, rather too many than too few.
    pub fn weight(&self) -> usize {
        let texts =
            self.title.as_str().len() + self.description.as_str().len() + self.assigned_to.as_str().len();
        let people: usize = self.escalated_to.iter().map(|person| person.as_str().len() + WRAPPING).sum();
        let entities: usize = self.entities.iter().map(|entity| entity.as_str().len() + WRAPPING).sum();
        // A number of one digit takes eleven bytes in a Struct.
        let metadata = 6 * self.metadata.to_value().to_string().len();
        FIXED + texts + people + entities + metadata
    }

    /// The alert with `patch` applied, equal to `self` when that changes nothing. `status_class` is the class of the
    /// status that the patch asks for, or the present one.
    ///
    /// # Errors
    /// When the alert would name no entity or too many, which only the lists together tell.
    pub fn patched(
        &self,
        patch: &AlertPatch,
        status_class: StatusClass,
        change: &ChangeContext,
    ) -> Result<Self, Invalid> {
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
        alert.status_class = status_class;
        if alert != *self {
            alert.entities.check_size()?;
            alert.version += 1;
            alert.updated_at = change.at.max(self.updated_at);
        }
        Ok(alert)
    }
}

fn replace<T: Clone>(field: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

/// An alert to be made.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// Whose it will be.
    pub organization_id: OrganizationId,
    /// Its id, fresh.
    pub id: AnomalyId,
    /// What happened, in a line.
    pub title: Title,
    /// What happened, in full.
    pub description: Description,
    /// The kind of the entity that is flagged.
    pub kind: EntityType,
    /// What it is about: 1 to [`AffectedEntities::MAX`].
    pub entities: AffectedEntities,
    /// Where it starts.
    pub status: StatusKey,
    /// How bad it is.
    pub severity: Severity,
    /// Who works on it.
    pub assigned_to: Assignee,
    /// Whom it is escalated to at once.
    pub escalated_to: Vec<Person>,
    /// What the caller keeps beside it.
    pub metadata: Metadata,
}

impl NewAlert {
    /// The alert as it stands once made, in a status of class `status_class`.
    pub fn into_alert(self, status_class: StatusClass, change: &ChangeContext) -> Alert {
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
            version: 1,
            created_at: change.at,
            updated_at: change.at,
        }
    }
}

/// What to change about an alert; `None` stays, lists and metadata are replaced whole.
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
    /// Who works on it now.
    pub assigned_to: Option<Assignee>,
    /// Whom it is escalated to now.
    pub escalated_to: Option<Vec<Person>>,
    /// What to keep beside it now.
    pub metadata: Option<Metadata>,
    /// The balances it is about now.
    pub affected_balances: Option<Vec<EntityId>>,
    /// The transactions it is about now.
    pub affected_transactions: Option<Vec<EntityId>>,
    /// The identities it is about now.
    pub affected_identities: Option<Vec<EntityId>>,
}
