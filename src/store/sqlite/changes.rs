//! Changing alerts, each change with its event and under its idempotency key, in the transaction of its batch.

use async_trait::async_trait;
use rusqlite::{Connection, params, params_from_iter};

use super::{Batch, SqliteStore, idempotency_keys, query, sql};
use crate::{
    domain::{
        Alert, AlertChange, AlertQuery, AnomalyId, ChangedAlert, Decision, DedupKey, EstimatedSize,
        Idempotent, OrganizationId, Page, PageSize, StatusKey, decide,
    },
    store::{
        AlertStore, IDEMPOTENCY_TTL, StoreError,
        failure::Failure,
        queue::Load,
        shared::{
            decision_input::{DecisionInputRow, HeadRow, Reading},
            idempotency,
            index::IndexChanges,
            queries,
            rows::{alert::AlertRow, event::EventRow},
        },
    },
};

#[async_trait]
impl AlertStore for SqliteStore {
    async fn change_alert(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError> {
        let load = Load { organization: change.organization_id, bytes: change.estimated_size() };
        let change = change.clone();
        self.write_for(load, move |batch| apply(batch, &change)).await
    }

    async fn alert(&self, organization: OrganizationId, id: AnomalyId) -> Result<Option<Alert>, StoreError> {
        self.look_up(move |conn| select(conn, organization, id)).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        self.select_page(query).await
    }

    async fn alerts_after(
        &self,
        organization: OrganizationId,
        after: Option<AnomalyId>,
        size: PageSize,
    ) -> Result<Page<Alert>, StoreError> {
        queries::alerts_after(self, organization, after, size).await
    }
}

fn apply(batch: &Batch<'_>, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError> {
    let Reading { known, memory, .. } = read(batch, change)?;
    if let Some(answer) =
        idempotency::replay(change.context.idempotency.as_ref(), memory, known.alert.as_ref())?
    {
        return Ok(answer);
    }
    let decision = decide(change, known)?;
    save(batch, &decision)?;
    if change.context.idempotency.is_some() {
        let answer = idempotency::text_of_change(&decision)?;
        idempotency_keys::record(batch.conn, change.organization_id, &change.context, &answer)?;
    }
    if let Some(event) = decision.event {
        batch.keep(event);
    }
    Ok(Idempotent::fresh(decision.changed))
}

/// Reads the input of the decision: for a plain flag only the head, which a change before it may have read.
fn read(batch: &Batch<'_>, change: &AlertChange) -> Result<Reading, StoreError> {
    let head = batch.head(change.organization_id);
    if let Some(reading) = head.and_then(|head| Reading::of_plain_flag(change, head, HeadRow::default())) {
        return Ok(reading);
    }
    let mut reading = select_decision_input(batch.conn, change)?;
    batch.record_head(change.organization_id, reading.known.head);
    // A change before may have moved it.
    reading.known.head = head.unwrap_or(reading.known.head);
    Ok(reading)
}

fn select_decision_input(conn: &Connection, change: &AlertChange) -> Result<Reading, StoreError> {
    let idempotency = change.context.idempotency.as_ref();
    let params = params![
        change.organization_id.uuid(),
        change.anomaly_id().map(AnomalyId::uuid),
        change.dedup_key().map(DedupKey::as_str),
        change.status().map(StatusKey::as_str),
        idempotency.map(|idempotency| idempotency.key.as_str()),
        (change.context.at - IDEMPOTENCY_TTL).timestamp_micros(),
    ];
    let input = query::optional::<DecisionInputRow>(conn, sql::SELECT_DECISION_INPUT, params)?;
    input.ok_or_else(|| StoreError::no_organization(change))
}

fn save(batch: &Batch<'_>, decision: &Decision) -> Result<(), StoreError> {
    let (conn, alert, before) = (batch.conn, &decision.changed.alert, decision.before.as_ref());
    if before != Some(alert) {
        let written = match before {
            None => query::write(conn, &sql::INSERT_ALERT, &AlertRow::from(alert)),
            Some(_) => update(conn, alert),
        };
        written.map_err(|error| meaning(error, alert))?;
        index(conn, before, alert)?;
    }
    if let Some(event) = &decision.event {
        query::write(conn, &sql::INSERT_EVENT, &EventRow::from(event))?;
        batch.move_head(event.organization_id, event.head_before(), event.head());
    }
    Ok(())
}

fn meaning(error: rusqlite::Error, alert: &Alert) -> StoreError {
    let collision = StoreError::Internal(format!("the id {} is taken", alert.id).into());
    Failure::from(error).meaning(collision, StoreError::UnknownStatus(alert.status.clone()))
}

/// Adds and removes the rows by which the alert is found.
fn index(conn: &Connection, before: Option<&Alert>, after: &Alert) -> Result<(), StoreError> {
    let mut changes = IndexChanges::default();
    changes.add(before, after);
    for row in &changes.entities_out {
        query::write(conn, &sql::DELETE_ENTITY, row)?;
    }
    for row in &changes.entities_in {
        query::write(conn, &sql::INSERT_ENTITY, row)?;
    }
    for row in &changes.people_out {
        query::write(conn, &sql::DELETE_ESCALATION, row)?;
    }
    for row in &changes.people_in {
        query::write(conn, &sql::INSERT_ESCALATION, row)?;
    }
    Ok(())
}

fn select(
    conn: &Connection,
    organization: OrganizationId,
    id: AnomalyId,
) -> Result<Option<Alert>, StoreError> {
    query::optional::<AlertRow>(conn, sql::SELECT_ALERT, params![organization.uuid(), id.uuid()])
}

fn update(conn: &Connection, alert: &Alert) -> rusqlite::Result<()> {
    let row = AlertRow::from(alert);
    let values = AlertRow::changing().chain(AlertRow::key()).map(|column| (column.value)(&row));
    query::execute(conn, &sql::UPDATE_ALERT, params_from_iter(values)).map(drop)
}
