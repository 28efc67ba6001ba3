//! The plan of a batch: each change is decided from the database and from the decisions before it,
//! and all of it is saved together.

use std::collections::{BTreeMap, HashMap};

use crate::{
    domain::{
        Alert, AlertChange, AlertEvent, AnomalyId, ChangedAlert, Decision, DedupKey, Head, HeadSignature,
        HeadSigner, Idempotency, IdempotencyKey, Idempotent, OrganizationId, decide,
    },
    store::{
        StoreError,
        shared::{
            decision_input::{HeadRow, Reading},
            idempotency::{self, IdempotencyRecord},
        },
    },
};

/// The rows to save, and an index of them for the changes that follow in the batch.
#[derive(Default)]
pub struct Plan {
    /// The heads to move.
    pub heads: BTreeMap<OrganizationId, Move>,
    /// The events to append.
    pub events: Vec<AlertEvent>,
    /// The idempotency records to store.
    pub idempotency_records: Vec<NewIdempotencyRecord>,
    /// In the order of their ids, which is the order in which they were made.
    alerts: BTreeMap<(OrganizationId, AnomalyId), Version>,
    /// The alert of each deduplication key that is not closed now, where a change of the batch may have made it another.
    open: HashMap<(OrganizationId, DedupKey), Option<AnomalyId>>,
    /// The last alert of each deduplication key under which the batch makes one.
    latest: HashMap<(OrganizationId, DedupKey), AnomalyId>,
    /// The place in `idempotency_records` of each idempotency key.
    keys: HashMap<(OrganizationId, IdempotencyKey), usize>,
}

/// How a head moves.
#[derive(Debug, Clone)]
pub struct Move {
    /// The head before.
    pub from: Head,
    /// Its row as it was.
    pub row: HeadRow,
    /// The head after.
    pub to: Head,
}

/// An alert that the batch makes or changes.
pub struct Version {
    /// As it is stored; `None` when the batch makes it.
    pub before: Option<Alert>,
    /// As it will be.
    pub after: Alert,
}

/// An idempotency record to store.
pub struct NewIdempotencyRecord {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Under which key, and of which change.
    pub idempotency: Idempotency,
    /// The answer.
    pub answer: String,
}

impl Plan {
    /// Decides a change from what was read and from the changes before it.
    pub fn decide(
        &mut self,
        change: &AlertChange,
        reading: Reading,
    ) -> Result<Idempotent<ChangedAlert>, StoreError> {
        let reading = self.ahead(change, reading);
        let present = reading.known.alert.as_ref();
        if let Some(answer) =
            idempotency::replay(change.context.idempotency.as_ref(), reading.memory, present)?
        {
            return Ok(answer);
        }
        let (head, row) = (reading.known.head, reading.row);
        let decision = decide(change, reading.known)?;
        let answer = Idempotent::fresh(decision.changed.clone());
        if decision.is_empty() && change.context.idempotency.is_none() {
            return Ok(answer);
        }
        let idempotency_records = self.record(change, &decision)?;
        let to = decision.head(head);
        self.heads.entry(change.organization_id).or_insert(Move { from: head, row, to }).to = to;
        self.idempotency_records.extend(idempotency_records);
        self.add(decision);
        Ok(answer)
    }

    /// The alerts to make, and those to change.
    pub fn alerts(&self) -> (Vec<&Version>, Vec<&Version>) {
        let is_changed = |version: &&Version| version.before.as_ref() != Some(&version.after);
        self.alerts.values().filter(is_changed).partition(|version| version.before.is_none())
    }

    /// The signatures of the heads that have new events.
    pub fn sign(&self, signer: &HeadSigner) -> Vec<HeadSignature> {
        let heads = self.heads.iter();
        heads.filter_map(|(organization, moved)| signer.sign(*organization, moved.from, moved.to)).collect()
    }

    /// The input as read, overlaid with the changes before this one.
    fn ahead(&self, change: &AlertChange, mut reading: Reading) -> Reading {
        let organization = change.organization_id;
        let known = &mut reading.known;
        if let Some(head) = self.heads.get(&organization) {
            (known.head, reading.row) = (head.to, head.row.clone());
        }
        if let Some(idempotency) = &change.context.idempotency
            && let Some(&index) = self.keys.get(&(organization, idempotency.key.clone()))
            && let Some(NewIdempotencyRecord { idempotency, answer, .. }) =
                self.idempotency_records.get(index)
        {
            reading.memory = Some(IdempotencyRecord {
                fingerprint: idempotency.fingerprint.to_vec(),
                answer: answer.clone(),
            });
        }
        if let Some(key) = change.dedup_key() {
            let named = (organization, key.clone());
            if let Some(open) = self.open.get(&named) {
                known.alert = open.and_then(|id| self.version(organization, id));
            }
            known.previous = self.latest.get(&named).copied().or(known.previous);
        }
        let id = change.anomaly_id().or_else(|| known.alert.as_ref().map(|alert| alert.id));
        if let Some(alert) = id.and_then(|id| self.version(organization, id)) {
            known.alert = Some(alert);
        }
        if let Some(alert) = &known.alert
            && let Some(key) = &alert.dedup_key
            && let Some(open) = self.open.get(&(organization, key.clone()))
        {
            known.rival = open.filter(|rival| *rival != alert.id);
        }
        reading
    }

    fn version(&self, organization: OrganizationId, id: AnomalyId) -> Option<Alert> {
        self.alerts.get(&(organization, id)).map(|version| version.after.clone())
    }

    fn record(
        &mut self,
        change: &AlertChange,
        decision: &Decision,
    ) -> Result<Option<NewIdempotencyRecord>, StoreError> {
        let Some(idempotency) = change.context.idempotency.clone() else { return Ok(None) };
        let organization_id = change.organization_id;
        let answer = idempotency::text_of_change(decision)?;
        self.keys.insert((organization_id, idempotency.key.clone()), self.idempotency_records.len());
        Ok(Some(NewIdempotencyRecord { organization_id, idempotency, answer }))
    }

    fn add(&mut self, decision: Decision) {
        let Decision { before, changed: ChangedAlert { alert, .. }, event } = decision;
        let organization = alert.organization_id;
        self.events.extend(event);
        if let Some(key) = alert.dedup_key.clone() {
            let named = (organization, key);
            if before.is_none() {
                self.latest.insert(named.clone(), alert.id);
            }
            let was_open = before.as_ref().is_some_and(|before| !before.is_closed());
            match (was_open, !alert.is_closed()) {
                (_, true) => drop(self.open.insert(named, Some(alert.id))),
                (true, false) => drop(self.open.insert(named, None)),
                (false, false) => {}
            }
        }
        match self.alerts.get_mut(&(organization, alert.id)) {
            Some(version) => version.after = alert,
            None => drop(self.alerts.insert((organization, alert.id), Version { before, after: alert })),
        }
    }
}
