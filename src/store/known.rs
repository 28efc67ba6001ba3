//! Reading all that a change is decided from, in one statement that both databases understand.

use uuid::Uuid;

use super::{StoreError, answers::Memory, event_rows::read_head, rows::AlertRow};
use crate::domain::{Alert, AnomalyId, Known, OrganizationId, StatusClass};

/// The statement that reads what a change is decided from; takes the expression for the head's revision. Its values: `$1`
/// organization, `$2` alert, `$3` deduplication key, `$4` status, `$5` idempotency key, `$6` since when changes are
/// remembered. No row: there is no such organization.
///
/// The alert is the one named, or the one of the deduplication key that is not closed.
macro_rules! select_known {
    ($revision:literal) => {
        concat!(
            "SELECT h.position, h.hash, ",
            $revision,
            ", o.require_disposition, ",
            "(SELECT s.class FROM alert_statuses s WHERE s.organization_id = $1 AND s.key = $4), ",
            "i.fingerprint, i.answer, ",
            "(SELECT p.anomaly_id FROM alerts p WHERE p.organization_id = $1 AND p.dedup_key = $3 ",
            "ORDER BY p.created_at DESC, p.anomaly_id DESC LIMIT 1), ",
            "(SELECT r.anomaly_id FROM alerts r WHERE r.organization_id = $1 AND r.dedup_key = a.dedup_key ",
            "AND r.status_class <> 3 AND r.anomaly_id <> a.anomaly_id LIMIT 1), ",
            crate::store::rows::alert_columns!(),
            " FROM event_heads h JOIN organizations o ON o.organization_id = h.organization_id ",
            "LEFT JOIN idempotency_keys i ON i.organization_id = $1 AND i.key = $5 AND i.created_at > $6 ",
            "LEFT JOIN alerts a ON a.organization_id = $1 AND a.anomaly_id = coalesce($2, ",
            "(SELECT d.anomaly_id FROM alerts d WHERE d.organization_id = $1 AND d.dedup_key = $3 AND d.status_class <> 3)) ",
            "WHERE h.organization_id = $1",
        )
    };
}
pub(in crate::store) use select_known;

/// Where the columns of the alert begin.
pub const ALERT_AT: usize = 9;

/// A row of `select_known!`.
pub struct KnownRow {
    pub position: i64,
    pub hash: Vec<u8>,
    pub revision: i64,
    pub require_disposition: bool,
    pub status_class: Option<i16>,
    pub fingerprint: Option<Vec<u8>>,
    pub answer: Option<String>,
    pub previous: Option<Uuid>,
    pub rival: Option<Uuid>,
    pub alert: Option<AlertRow>,
}

/// What a change is decided from.
pub struct Reading {
    /// What is known.
    pub known: Known,
    /// What is remembered under the idempotency key.
    pub memory: Option<Memory>,
    /// The head's revision, where the database keeps one.
    pub revision: i64,
}

impl KnownRow {
    /// What the row tells.
    pub fn read(self, organization: OrganizationId) -> Result<Reading, StoreError> {
        let known = Known {
            head: read_head(organization, self.position, self.hash)?,
            requires_disposition: self.require_disposition,
            status_class: self.status_class.and_then(StatusClass::from_code),
            alert: self.alert.map(Alert::try_from).transpose()?,
            previous: self.previous.map(AnomalyId::from_uuid),
            rival: self.rival.map(AnomalyId::from_uuid),
        };
        let memory = self.fingerprint.zip(self.answer);
        let memory = memory.map(|(fingerprint, answer)| Memory { fingerprint, answer });
        Ok(Reading { known, memory, revision: self.revision })
    }
}
