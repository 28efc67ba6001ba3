//! Queries for lists of alerts.

use super::{
    Assignee, Cursor, Disposition, EntityId, EntityType, OrganizationId, PageSize, Person, Severity,
    StatusClass, StatusKey, Timestamp,
};

/// In which order alerts are listed, by the time they were made and then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SortOrder {
    /// Newest first.
    #[default]
    Descending,
    /// Oldest first.
    Ascending,
}

/// A span of time; both ends are excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// Only what lies after this instant.
    pub after: Option<Timestamp>,
    /// Only what lies before this instant.
    pub before: Option<Timestamp>,
}

/// The filter of a list. Fields are combined with AND, the values of one with OR; empty ones don't filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// In one of these statuses.
    pub statuses: Vec<StatusKey>,
    /// In a status of one of these classes.
    pub status_classes: Vec<StatusClass>,
    /// Raised for one of these kinds of entity.
    pub types: Vec<EntityType>,
    /// Of one of these severities.
    pub severities: Vec<Severity>,
    /// Taken to one of these decisions.
    pub dispositions: Vec<Disposition>,
    /// Assigned to this person; the empty one means nobody.
    pub assigned_to: Option<Assignee>,
    /// Escalated to this person, perhaps among others.
    pub escalated_to: Option<Person>,
    /// About at least one of these entities.
    pub entity_ids: Vec<EntityId>,
    /// Made within this span.
    pub created: TimeRange,
    /// Last changed within this span.
    pub updated: TimeRange,
}

impl AlertFilter {
    /// The most values that one filter may take.
    pub const MAX_VALUES: usize = 100;
}

/// One page of a list of alerts to read.
#[derive(Debug, Clone)]
pub struct AlertQuery {
    /// The organization of the alerts.
    pub organization_id: OrganizationId,
    /// The filter.
    pub filter: AlertFilter,
    /// In which order.
    pub order: SortOrder,
    /// After which alert; `None` for the first page.
    pub after: Option<Cursor>,
    /// How many at most.
    pub size: PageSize,
    /// True to count all that match.
    pub include_total: bool,
}
