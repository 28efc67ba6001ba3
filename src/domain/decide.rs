//! The decision what a change does to an alert and to its history: made here, from what the store has read, and nowhere else.

use super::{
    Alert, AlertChange, AlertEvent, AlertPatch, AnomalyId, ChangeContext, Command, EventType, FieldChange,
    Head, Invalid, NewAlert, Person, StatusClass, StatusKey, Timestamp,
    alert::MAX_ESCALATED_TO,
    dedup,
    event::EventDraft,
    replay::{self, ENTITIES_LEFT_OUT},
};

/// The input of a decision, all of it read in the same transaction.
#[derive(Debug)]
pub struct DecisionInput {
    /// The head of the organization's feed.
    pub head: Head,
    /// True where the organization demands a disposition with a reason before closing.
    pub requires_disposition: bool,
    /// The class of the status asked for; `None` when the organization has no such status, or none was asked for.
    pub status_class: Option<StatusClass>,
    /// The alert that the change is about; of a flag, the one of its `dedup_key` that is not closed.
    pub alert: Option<Alert>,
    /// The last alert with the flag's `dedup_key`.
    pub previous: Option<AnomalyId>,
    /// Another alert with the alert's `dedup_key` that is not closed.
    pub rival: Option<AnomalyId>,
    /// The alert is older than histories are, and its own is yet to be begun.
    pub waits_for_adoption: bool,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such alert.
    NotFound,
    /// The organization has no such status.
    UnknownStatus(StatusKey),
    /// The lists of entities that were given break a rule together with the others.
    Entities(Invalid),
    /// The field breaks a rule that only the stored state tells.
    Field(&'static str, Invalid),
    /// The history of this alert must be begun first ([`Command::Adopt`]); then the change can be made.
    NotAdopted(AnomalyId),
    /// Somebody else changed the alert first; its version now.
    VersionConflict(i64),
    /// The organization demands a disposition with a reason before closing.
    DispositionRequired,
    /// The alert can't be opened again while this one, with the same `dedup_key`, is open.
    Rival(AnomalyId),
}

/// The alert after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedAlert {
    /// The alert as it stands.
    pub alert: Alert,
    /// True for a flag that was folded into an open alert.
    pub is_deduplicated: bool,
}

/// The changes to store.
#[derive(Debug)]
pub struct Decision {
    /// The alert before; `None` when it is made.
    pub before: Option<Alert>,
    /// The alert to answer, and to store where it differs from `before`.
    pub changed: ChangedAlert,
    /// The event to write.
    pub event: Option<AlertEvent>,
}

impl Decision {
    /// The head of the feed afterwards, given the head `before`.
    pub fn head(&self, before: Head) -> Head {
        self.event.as_ref().map_or(before, AlertEvent::head)
    }

    /// Returns true where there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.before.as_ref() == Some(&self.changed.alert)
    }
}

/// Decides what `change` does to what is known.
///
/// # Errors
/// Why nothing is done.
pub fn decide(change: &AlertChange, known: DecisionInput) -> Result<Decision, Refusal> {
    let decided = match (&change.command, &known.alert) {
        (Command::Flag(flag), None) => make(flag, change, &known)?,
        (Command::Flag(flag), Some(open)) => {
            status_class(change, &known)?;
            fold(flag, open, &change.context)
        }
        (_, None) => return Err(Refusal::NotFound),
        (Command::Update(..) | Command::Escalate(..), Some(alert))
            if known.waits_for_adoption && alert.sequence == 0 =>
        {
            return Err(Refusal::NotAdopted(alert.id));
        }
        (Command::Update(_, patch), Some(alert)) => {
            check_version(change, alert)?;
            update(patch, alert, change, &known)?
        }
        (Command::Escalate(_, to), Some(alert)) => {
            check_version(change, alert)?;
            escalate(to, alert, &change.context)?
        }
        (Command::Adopt(_), Some(alert)) => adopt(alert),
    };
    Ok(decided.into_decision(change, known))
}

/// A change before the event has its place.
struct Decided {
    alert: Alert,
    is_deduplicated: bool,
    /// The content of the event; `None` when the change writes none.
    told: Option<(EventType, Vec<FieldChange>, Timestamp)>,
}

impl Decided {
    fn into_decision(mut self, change: &AlertChange, known: DecisionInput) -> Decision {
        let event = self.told.map(|(kind, changes, at)| {
            self.alert.sequence += 1;
            let happened = EventDraft {
                organization_id: self.alert.organization_id,
                anomaly_id: self.alert.id,
                sequence: self.alert.sequence,
                kind,
                changes,
                at,
                context: &change.context,
            };
            AlertEvent::following(known.head, happened)
        });
        let changed = ChangedAlert { alert: self.alert, is_deduplicated: self.is_deduplicated };
        Decision { before: known.alert, changed, event }
    }
}

/// The class of the status asked for, which must be there.
fn status_class(change: &AlertChange, known: &DecisionInput) -> Result<Option<StatusClass>, Refusal> {
    match (change.status(), known.status_class) {
        (Some(status), None) => Err(Refusal::UnknownStatus(status.clone())),
        (_, class) => Ok(class),
    }
}

fn check_version(change: &AlertChange, alert: &Alert) -> Result<(), Refusal> {
    match &change.expected_versions {
        Some(versions) if !versions.contains(&alert.version) => Err(Refusal::VersionConflict(alert.version)),
        _ => Ok(()),
    }
}

fn make(flag: &NewAlert, change: &AlertChange, known: &DecisionInput) -> Result<Decided, Refusal> {
    let class = status_class(change, known)?.unwrap_or(StatusClass::Open);
    if class == StatusClass::Closed && known.requires_disposition {
        return Err(Refusal::DispositionRequired);
    }
    let mut alert = flag.clone().into_alert(class, known.previous, &change.context);
    if class == StatusClass::Closed {
        alert.close(&change.context);
    }
    let told = (EventType::Flagged, alert.changes_at_birth(), alert.created_at);
    Ok(Decided { alert, is_deduplicated: false, told: Some(told) })
}

/// The field that every told repeat tells.
const LAST_OCCURRED_AT: &str = "last_occurred_at";

/// Counts a repeat: its entities are added while there is room, its severity counts where it is higher.
fn fold(flag: &NewAlert, open: &Alert, context: &ChangeContext) -> Decided {
    let mut alert = open.clone();
    alert.severity = alert.severity.max(flag.severity);
    let left_out = alert.entities.add(&flag.entities);
    let is_more = alert.severity != open.severity || alert.entities != open.entities;
    alert.occurrence_count += 1;
    alert.touch(context.at);
    // Never earlier than it was, also where somebody has set it ahead past redflag: a repeat must not wash that clean.
    alert.last_occurred_at = alert.updated_at.max(alert.last_occurred_at);
    let is_recorded =
        is_more || dedup::is_recorded(alert.occurrence_count) || !context.note.as_str().is_empty();
    let told = is_recorded.then(|| {
        let mut changes = alert.changes_since(open);
        if alert.last_occurred_at == open.last_occurred_at {
            // By a clock that is behind. Told all the same: history may not know the time of a repeat before, untold.
            let at = alert.field(LAST_OCCURRED_AT);
            let field = LAST_OCCURRED_AT.to_owned();
            changes.push(FieldChange { field, before: at.clone(), after: at });
        }
        if left_out > 0 {
            let field = ENTITIES_LEFT_OUT.to_owned();
            changes.push(FieldChange { field, before: 0.into(), after: left_out.into() });
        }
        (EventType::Recurred, changes, alert.updated_at)
    });
    Decided { alert, is_deduplicated: true, told }
}

fn update(
    patch: &AlertPatch,
    before: &Alert,
    change: &AlertChange,
    known: &DecisionInput,
) -> Result<Decided, Refusal> {
    let class = status_class(change, known)?.unwrap_or(before.status_class);
    let mut alert = before.patched(patch, class);
    let (was_closed, is_closed) = (before.is_closed(), alert.is_closed());
    if was_closed && !is_closed {
        if let Some(rival) = known.rival {
            return Err(Refusal::Rival(rival));
        }
        alert.reopen(patch);
    } else if is_closed && !was_closed {
        alert.close(&change.context);
    }
    alert.entities.check_size().map_err(Refusal::Entities)?;
    alert.check_disposition().map_err(|rule| Refusal::Field("disposition_reason", rule))?;
    let is_decided = |alert: &Alert| (alert.disposition, alert.disposition_reason.clone());
    let is_decision = !was_closed || is_decided(before) != is_decided(&alert);
    if is_closed && is_decision && known.requires_disposition && !alert.is_disposed() {
        return Err(Refusal::DispositionRequired);
    }
    Ok(finish(alert, before, &change.context))
}

/// Appends people who are not there yet, and assigns the alert to the first of `to`.
fn escalate(to: &[Person], before: &Alert, context: &ChangeContext) -> Result<Decided, Refusal> {
    let mut alert = before.clone();
    for person in to {
        if !alert.escalated_to.contains(person) {
            alert.escalated_to.push(person.clone());
        }
    }
    let people = alert.escalated_to.len();
    if people > MAX_ESCALATED_TO {
        let rule = format!("must leave at most {MAX_ESCALATED_TO} people in escalated_to, leaves {people}");
        return Err(Refusal::Field("to", Invalid::new(rule)));
    }
    if let Some(first) = to.first() {
        alert.assigned_to = first.clone().into();
    }
    let mut decided = finish(alert, before, context);
    // Also where all of them were escalated to before, and only the assignee is another.
    decided.told = decided.told.map(|(kind, changes, at)| {
        let kind = if kind == EventType::Noted { kind } else { EventType::Escalated };
        (kind, changes, at)
    });
    Ok(decided)
}

/// Tells what an alert is whose making nobody told, if it has no history yet; the alert itself stays as it is.
fn adopt(alert: &Alert) -> Decided {
    let told = (alert.sequence == 0).then(|| {
        let counted = [
            (replay::VERSION, alert.version.into()),
            (replay::UPDATED_AT, super::clock::rfc3339(alert.updated_at).into()),
        ];
        let counted = counted.map(|(field, after)| FieldChange {
            field: field.to_owned(),
            before: serde_json::Value::Null,
            after,
        });
        let changes = alert.changes_at_birth().into_iter().chain(counted).collect();
        (EventType::Flagged, changes, alert.created_at)
    });
    Decided { alert: alert.clone(), is_deduplicated: false, told }
}

/// Counts the change, if it is one, and says what the event tells of it.
fn finish(mut alert: Alert, before: &Alert, context: &ChangeContext) -> Decided {
    let told = if alert == *before {
        let is_noted = !context.note.as_str().is_empty();
        is_noted.then(|| (EventType::Noted, Vec::new(), context.at.max(before.updated_at)))
    } else {
        alert.touch(context.at);
        Some((kind(before, &alert), alert.changes_since(before), alert.updated_at))
    };
    Decided { alert, is_deduplicated: false, told }
}

/// The most telling type of a change.
fn kind(before: &Alert, after: &Alert) -> EventType {
    let is_escalated = || after.escalated_to.iter().any(|person| !before.escalated_to.contains(person));
    match (before.is_closed(), after.is_closed()) {
        (false, true) => EventType::Closed,
        (true, false) => EventType::Reopened,
        _ if is_escalated() => EventType::Escalated,
        _ if after.status != before.status => EventType::StatusChanged,
        _ if after.assigned_to != before.assigned_to => EventType::Assigned,
        _ => EventType::Updated,
    }
}
