//! Reading all that a change is decided from, in one statement that both databases understand.

use uuid::Uuid;

use super::{
    idempotency::IdempotencyRecord,
    row::{Columns, Decode, Get, Row, undecodable},
    rows::{alert::AlertRow, event::FeedHeadRow},
};
use crate::{
    domain::{Alert, AlertChange, AnomalyId, Command, DecisionInput, Head, StatusClass},
    store::Inconsistent,
};

/// The statement that reads what changes are decided from. It takes the source of the questions `q`, with the columns
/// `organization_id`, `anomaly_id`, `dedup_key`, `status` and `idempotency_key`; how a question is numbered; and the expressions
/// for the head's revision and for where its row stands, and for the time since when idempotency keys count. No row for a question: there is no such organization.
///
/// The alert is the one named, or the one of the deduplication key that is not closed.
macro_rules! select_decision_input {
    ($questions:literal, $number:literal, $revision:literal, $tuple:literal, $since:expr) => {
        concat!(
            $questions,
            "SELECT ",
            $number,
            ", h.organization_id, h.position, h.hash, ",
            $revision,
            ", ",
            $tuple,
            ", o.require_disposition, ",
            "(SELECT s.class FROM alert_statuses s WHERE s.organization_id = q.organization_id AND s.key = q.status), ",
            "i.fingerprint, i.answer, ",
            "(SELECT p.anomaly_id FROM alerts p WHERE p.organization_id = q.organization_id AND p.dedup_key = q.dedup_key ",
            "ORDER BY p.created_at DESC, p.anomaly_id DESC LIMIT 1), ",
            "(SELECT r.anomaly_id FROM alerts r WHERE r.organization_id = q.organization_id AND r.dedup_key = a.dedup_key ",
            "AND r.status_class <> 3 AND r.anomaly_id <> a.anomaly_id LIMIT 1), ",
            "CASE WHEN a.sequence = 0 THEN EXISTS (SELECT 1 FROM alerts_to_adopt t ",
            "WHERE t.organization_id = a.organization_id AND t.anomaly_id = a.anomaly_id) ELSE false END, ",
            crate::store::shared::rows::alert::alert_columns!(),
            " FROM questions q JOIN event_heads h ON h.organization_id = q.organization_id ",
            "JOIN organizations o ON o.organization_id = q.organization_id ",
            "LEFT JOIN idempotency_keys i ON i.organization_id = q.organization_id AND i.key = q.idempotency_key ",
            "AND i.created_at > ",
            $since,
            " ",
            "LEFT JOIN alerts a ON a.organization_id = q.organization_id AND a.anomaly_id = coalesce(q.anomaly_id, ",
            "(SELECT d.anomaly_id FROM alerts d WHERE d.organization_id = q.organization_id ",
            "AND d.dedup_key = q.dedup_key AND d.status_class <> 3))",
        )
    };
}
pub(in crate::store) use select_decision_input;

/// The index of the alert's first column.
const ALERT_AT: usize = 13;

/// The row of a head as it was read, on PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadRow {
    /// The revision, which every change moves.
    pub revision: i64,
    /// The place of this version of the row (`ctid`), by which it is found at once. By the key it is found behind all versions
    /// that somebody's snapshot keeps; a dump that runs for long keeps tens of thousands.
    pub tuple: Option<String>,
}

/// The input of a decision, as it was read.
pub struct Reading {
    /// The input of the decision.
    pub known: DecisionInput,
    /// The record of the idempotency key.
    pub memory: Option<IdempotencyRecord>,
    /// The head's row, where the database keeps more of it than the head.
    pub row: HeadRow,
}

/// A row of `select_decision_input!`.
pub struct DecisionInputRow {
    pub number: i64,
    head: FeedHeadRow,
    row: HeadRow,
    require_disposition: bool,
    status_class: Option<i16>,
    record: Option<IdempotencyRecord>,
    previous: Option<Uuid>,
    rival: Option<Uuid>,
    waits_for_adoption: bool,
    alert: Option<AlertRow>,
}

impl Decode for DecisionInputRow {
    type Entity = Reading;

    fn decode<R: Row>(row: &R, first: usize) -> Result<Self, Inconsistent> {
        let read = || {
            let mut columns = Columns::from(row, first);
            Ok(Self {
                number: columns.take()?,
                head: FeedHeadRow {
                    organization_id: columns.take()?,
                    position: columns.take()?,
                    hash: columns.take()?,
                },
                row: HeadRow { revision: columns.take()?, tuple: columns.take()? },
                require_disposition: columns.take()?,
                status_class: columns.take()?,
                record: IdempotencyRecord::of(columns.take()?, columns.take()?),
                previous: columns.take()?,
                rival: columns.take()?,
                waits_for_adoption: columns.take()?,
                alert: None,
            })
        };
        let mut input = read().map_err(|problem| undecodable("event_heads", "a decision", &problem))?;
        let is_found = Get::<Option<Uuid>>::column(row, first + ALERT_AT)
            .map_err(|problem| undecodable("alerts", "a decision", &problem))?
            .is_some();
        if is_found {
            input.alert = Some(AlertRow::decode(row, first + ALERT_AT)?);
        }
        Ok(input)
    }
}

impl TryFrom<DecisionInputRow> for Reading {
    type Error = Inconsistent;

    fn try_from(row: DecisionInputRow) -> Result<Self, Inconsistent> {
        let known = DecisionInput {
            head: row.head.try_into()?,
            requires_disposition: row.require_disposition,
            status_class: row.status_class.and_then(StatusClass::from_code),
            alert: row.alert.map(Alert::try_from).transpose()?,
            previous: row.previous.map(AnomalyId::from_uuid),
            rival: row.rival.map(AnomalyId::from_uuid),
            waits_for_adoption: row.waits_for_adoption,
        };
        Ok(Self { known, memory: row.record, row: row.row })
    }
}

impl Reading {
    /// All that a plain flag is decided from, where the head is known. `None` for other changes.
    pub fn of_plain_flag(change: &AlertChange, head: Head, row: HeadRow) -> Option<Self> {
        let class = plain_class(change)?;
        let known = DecisionInput {
            head,
            requires_disposition: false,
            status_class: Some(class),
            alert: None,
            previous: None,
            rival: None,
            waits_for_adoption: false,
        };
        Some(Self { known, memory: None, row })
    }
}

/// Returns true for a plain flag: it makes an alert in a built-in status that is not closed, which neither repeats anything
/// nor depends on what the organization demands.
pub fn is_plain_flag(change: &AlertChange) -> bool {
    plain_class(change).is_some()
}

fn plain_class(change: &AlertChange) -> Option<StatusClass> {
    let Command::Flag(flag) = &change.command else { return None };
    let is_alone = flag.dedup_key.is_none() && change.context.idempotency.is_none();
    flag.status.builtin_class().filter(|class| is_alone && *class != StatusClass::Closed)
}
