//! Changing alerts, each change with its event and under its idempotency key, in the transaction of its batch.

use rusqlite::{Connection, ToSql, params};

use super::{Batch, SqliteStore, idempotency_keys, query, rows, rows::json_list, sql};
use crate::{
    domain::{
        Alert, AlertChange, AlertEvent, AnomalyId, ChangedAlert, Decision, DedupKey, EntityId, EstimatedSize,
        IdempotencyKey, Idempotent, OrganizationId, Person, StatusKey, decide,
    },
    store::{
        IDEMPOTENCY_TTL, StoreError,
        decision_input::{HeadRow, Reading},
        failure::Failure,
        idempotency,
        queue::Load,
        rows::AlertRow,
    },
};

impl SqliteStore {
    pub(super) async fn change(&self, change: &AlertChange) -> Result<Idempotent<ChangedAlert>, StoreError> {
        let load = Load { organization: change.organization_id, bytes: change.estimated_size() };
        let change = change.clone();
        self.write_for(load, move |batch| apply(batch, &change)).await
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
    Ok(Idempotent::fresh(decision.changed))
}

/// Reads the input of the decision: for a plain flag only the head, which a change before it may have read.
fn read(batch: &Batch<'_>, change: &AlertChange) -> Result<Reading, StoreError> {
    let head = batch.head(change.organization_id);
    if let Some(reading) = head.and_then(|head| Reading::of_plain_flag(change, head, HeadRow::default())) {
        return Ok(reading);
    }
    let mut reading = select_decision_input(batch.conn, change)?;
    batch.note_head(change.organization_id, reading.known.head);
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
    let row = query::optional(conn, sql::SELECT_DECISION_INPUT, params, rows::known)?;
    row.ok_or_else(|| StoreError::no_organization(change))?.read(change.organization_id)
}

fn save(batch: &Batch<'_>, decision: &Decision) -> Result<(), StoreError> {
    let (conn, alert) = (batch.conn, &decision.changed.alert);
    match &decision.before {
        None => {
            insert(conn, alert).map_err(|error| meaning(error, alert))?;
            index(conn, sql::INSERT_ENTITY, alert, &entities(alert))?;
            index(conn, sql::INSERT_ESCALATION, alert, &alert.escalated_to)?;
        }
        Some(before) if before != alert => {
            update(conn, alert).map_err(|error| meaning(error, alert))?;
            index_anew(conn, before, alert)?;
        }
        Some(_) => {}
    }
    if let Some(event) = &decision.event {
        append(conn, event)?;
        batch.move_head(event.organization_id, event.head_before(), event.head());
    }
    Ok(())
}

fn meaning(error: rusqlite::Error, alert: &Alert) -> StoreError {
    let collision = StoreError::Internal(format!("the id {} is taken", alert.id).into());
    Failure::from(error).meaning(collision, StoreError::UnknownStatus(alert.status.clone()))
}

fn index_anew(conn: &Connection, before: &Alert, after: &Alert) -> Result<(), StoreError> {
    if after.entities != before.entities {
        index(conn, sql::DELETE_ENTITY, before, &entities(before))?;
        index(conn, sql::INSERT_ENTITY, after, &entities(after))?;
    }
    if after.escalated_to != before.escalated_to {
        index(conn, sql::DELETE_ESCALATION, before, &before.escalated_to)?;
        index(conn, sql::INSERT_ESCALATION, after, &after.escalated_to)?;
    }
    Ok(())
}

/// Appends an event to the feed.
fn append(conn: &Connection, event: &AlertEvent) -> Result<(), StoreError> {
    let params = params![
        event.organization_id.uuid(),
        event.position,
        event.anomaly_id.uuid(),
        event.sequence,
        event.id.uuid(),
        event.kind.code(),
        event.actor.key_id.uuid(),
        event.actor.key_name.as_str(),
        event.actor.on_behalf_of.as_ref().map(Person::as_str),
        event.changes.text(),
        event.note.as_str(),
        event.request_id,
        event.idempotency_key.as_ref().map(IdempotencyKey::as_str),
        event.created_at.timestamp_micros(),
        event.previous_hash.0,
        event.hash.0,
    ];
    query::execute(conn, sql::INSERT_EVENT, params)?;
    Ok(())
}

/// Reads one alert.
pub fn select(
    conn: &Connection,
    organization: OrganizationId,
    id: AnomalyId,
) -> Result<Option<Alert>, StoreError> {
    let row = query::optional(conn, sql::SELECT_ALERT, params![organization.uuid(), id.uuid()], rows::alert)?;
    Ok(row.map(Alert::try_from).transpose()?)
}

fn insert(conn: &Connection, alert: &Alert) -> rusqlite::Result<()> {
    let birth: [&dyn ToSql; 4] = [
        &alert.created_at.timestamp_micros(),
        &alert.kind.code(),
        &alert.dedup_key.as_ref().map(DedupKey::as_str),
        &alert.previous_anomaly_id.map(AnomalyId::uuid),
    ];
    write(conn, sql::INSERT_ALERT, alert, &birth)
}

fn update(conn: &Connection, alert: &Alert) -> rusqlite::Result<()> {
    write(conn, sql::UPDATE_ALERT, alert, &[])
}

/// Writes the fields that can change, of the alert with that key, and then `more`.
fn write(conn: &Connection, sql: &str, alert: &Alert, more: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let row = AlertRow::from(alert);
    let [escalated_to, balances, transactions, identities] =
        [&row.escalated_to, &row.affected_balances, &row.affected_transactions, &row.affected_identities]
            .map(|list| json_list(list));
    let values: [&dyn ToSql; 22] = [
        &row.title,
        &row.description,
        &row.status,
        &row.status_class,
        &row.severity,
        &row.assigned_to,
        &escalated_to,
        &balances,
        &transactions,
        &identities,
        &serde_json::Value::Object(row.metadata).to_string(),
        &row.version,
        &row.updated_at.timestamp_micros(),
        &row.disposition,
        &row.disposition_reason,
        &row.closed_at.map(|at| at.timestamp_micros()),
        &row.closed_by.map(|actor| actor.to_string()),
        &row.occurrence_count,
        &row.last_occurred_at.timestamp_micros(),
        &row.sequence,
        &row.organization_id,
        &row.anomaly_id,
    ];
    let values: Vec<_> = values.iter().chain(more).copied().collect();
    query::execute(conn, sql, values.as_slice()).map(drop)
}

fn entities(alert: &Alert) -> Vec<&EntityId> {
    alert.entities.iter().collect()
}

/// Runs a statement for each of `values` that adds or removes what finds an alert by it.
fn index<T: ToString>(conn: &Connection, sql: &str, alert: &Alert, values: &[T]) -> Result<(), StoreError> {
    for value in values {
        let at = alert.created_at.timestamp_micros();
        query::execute(
            conn,
            sql,
            params![alert.organization_id.uuid(), value.to_string(), at, alert.id.uuid()],
        )?;
    }
    Ok(())
}
