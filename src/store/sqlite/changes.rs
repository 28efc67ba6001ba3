//! Changing alerts, each change with its event and under its idempotency key, in one transaction of the only writer.

use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{SqliteStore, memory, rows::json_list, sql};
use crate::{
    domain::{
        Alert, AlertChange, AlertEvent, AnomalyId, Answer, Changed, Decision, DedupKey, EntityId, Head,
        IdempotencyKey, OrganizationId, Person, StatusKey, decide,
    },
    store::{
        REMEMBERED, StoreError, answers,
        failure::Failure,
        known::{KnownRow, Reading},
        rows::AlertRow,
    },
};

impl SqliteStore {
    pub(super) async fn change(&self, change: &AlertChange) -> Result<Answer<Changed>, StoreError> {
        let mut transaction = self.begin().await?;
        let Reading { known, memory, .. } = read(&mut transaction, change).await?;
        if let Some(answer) = answers::recall(change.context.idempotency.as_ref(), memory)? {
            return Ok(answer);
        }
        let head = known.head;
        let decision = decide(change, known)?;
        save(&mut transaction, head, &decision).await?;
        memory::finish(transaction, change.organization_id, &change.context, decision.changed).await
    }
}

async fn read(conn: &mut SqliteConnection, change: &AlertChange) -> Result<Reading, StoreError> {
    let idempotency = change.context.idempotency.as_ref();
    let row: Option<KnownRow> = sqlx::query_as(sql::SELECT_KNOWN)
        .bind(change.organization_id.uuid())
        .bind(change.anomaly_id().map(AnomalyId::uuid))
        .bind(change.dedup_key().map(DedupKey::as_str))
        .bind(change.status().map(StatusKey::as_str))
        .bind(idempotency.map(|idempotency| idempotency.key.as_str()))
        .bind((change.context.at - REMEMBERED).timestamp_micros())
        .fetch_optional(conn)
        .await?;
    row.ok_or_else(|| StoreError::no_organization(change))?.read(change.organization_id)
}

async fn save(conn: &mut SqliteConnection, head: Head, decision: &Decision) -> Result<(), StoreError> {
    let alert = &decision.changed.alert;
    match &decision.before {
        None => {
            insert(conn, alert).await.map_err(|failure| meaning(failure, alert))?;
            index_entities(conn, sql::INSERT_ENTITIES, alert, &entities(alert)).await?;
            index_escalations(conn, sql::INSERT_ESCALATIONS, alert, &alert.escalated_to).await?;
        }
        Some(before) if before != alert => {
            update(conn, alert).await.map_err(|failure| meaning(failure, alert))?;
            index_anew(conn, before, alert).await?;
        }
        Some(_) => {}
    }
    match &decision.event {
        Some(event) => append(conn, event, decision.head(head)).await,
        None => Ok(()),
    }
}

fn meaning(failure: Failure, alert: &Alert) -> StoreError {
    let collision = StoreError::Internal(format!("the id {} is taken", alert.id).into());
    failure.meaning(collision, StoreError::UnknownStatus(alert.status.clone()))
}

async fn index_anew(conn: &mut SqliteConnection, before: &Alert, after: &Alert) -> Result<(), StoreError> {
    if after.entities != before.entities {
        index_entities(conn, sql::DELETE_ENTITIES, before, &entities(before)).await?;
        index_entities(conn, sql::INSERT_ENTITIES, after, &entities(after)).await?;
    }
    if after.escalated_to != before.escalated_to {
        index_escalations(conn, sql::DELETE_ESCALATIONS, before, &before.escalated_to).await?;
        index_escalations(conn, sql::INSERT_ESCALATIONS, after, &after.escalated_to).await?;
    }
    Ok(())
}

/// Appends an event to the feed, which then ends at `head`.
async fn append(conn: &mut SqliteConnection, event: &AlertEvent, head: Head) -> Result<(), StoreError> {
    sqlx::query(sql::INSERT_EVENT)
        .bind(event.organization_id.uuid())
        .bind(event.position)
        .bind(event.anomaly_id.uuid())
        .bind(event.sequence)
        .bind(event.id.uuid())
        .bind(event.kind.code())
        .bind(event.actor.key_id.uuid())
        .bind(event.actor.key_name.as_str())
        .bind(event.actor.on_behalf_of.as_ref().map(Person::as_str))
        .bind(event.changes_text())
        .bind(event.note.as_str())
        .bind(event.request_id.as_str())
        .bind(event.idempotency_key.as_ref().map(IdempotencyKey::as_str))
        .bind(event.created_at.timestamp_micros())
        .bind(event.previous_hash.0.as_slice())
        .bind(event.hash.0.as_slice())
        .execute(&mut *conn)
        .await?;
    sqlx::query(sql::UPDATE_HEAD)
        .bind(head.position)
        .bind(head.hash.0.as_slice())
        .bind(event.organization_id.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Reads one alert.
pub async fn select(
    conn: &mut SqliteConnection,
    organization: OrganizationId,
    id: AnomalyId,
) -> Result<Option<Alert>, StoreError> {
    let row: Option<AlertRow> = sqlx::query_as(sql::SELECT_ALERT)
        .bind(organization.uuid())
        .bind(id.uuid())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Alert::try_from).transpose()?)
}

async fn insert(conn: &mut SqliteConnection, alert: &Alert) -> Result<(), Failure> {
    bind(sqlx::query(sql::INSERT_ALERT), alert)
        .bind(alert.created_at.timestamp_micros())
        .bind(alert.kind.code())
        .bind(alert.dedup_key.as_ref().map(DedupKey::as_str))
        .bind(alert.previous_anomaly_id.map(AnomalyId::uuid))
        .execute(conn)
        .await?;
    Ok(())
}

async fn update(conn: &mut SqliteConnection, alert: &Alert) -> Result<(), Failure> {
    bind(sqlx::query(sql::UPDATE_ALERT), alert).execute(conn).await?;
    Ok(())
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The fields that can change, and the alert's key.
fn bind<'q>(statement: Statement<'q>, alert: &Alert) -> Statement<'q> {
    let row = AlertRow::from(alert);
    statement
        .bind(row.title)
        .bind(row.description)
        .bind(row.status)
        .bind(row.status_class)
        .bind(row.severity)
        .bind(row.assigned_to)
        .bind(json_list(&row.escalated_to))
        .bind(json_list(&row.affected_balances))
        .bind(json_list(&row.affected_transactions))
        .bind(json_list(&row.affected_identities))
        .bind(serde_json::Value::Object(row.metadata).to_string())
        .bind(row.version)
        .bind(row.updated_at.timestamp_micros())
        .bind(row.disposition)
        .bind(row.disposition_reason)
        .bind(row.closed_at.map(|at| at.timestamp_micros()))
        .bind(row.closed_by.map(|actor| actor.to_string()))
        .bind(row.occurrence_count)
        .bind(row.last_occurred_at.timestamp_micros())
        .bind(row.sequence)
        .bind(row.organization_id)
        .bind(row.anomaly_id)
}

fn entities(alert: &Alert) -> Vec<&EntityId> {
    alert.entities.iter().collect()
}

async fn index_entities(
    conn: &mut SqliteConnection,
    statement: &'static str,
    alert: &Alert,
    entities: &[&EntityId],
) -> Result<(), StoreError> {
    index(conn, statement, alert, json_list(entities)).await
}

async fn index_escalations(
    conn: &mut SqliteConnection,
    statement: &'static str,
    alert: &Alert,
    people: &[Person],
) -> Result<(), StoreError> {
    if people.is_empty() {
        return Ok(());
    }
    index(conn, statement, alert, json_list(people)).await
}

/// Runs a statement that adds or removes what finds an alert; all take the same values.
async fn index(
    conn: &mut SqliteConnection,
    statement: &'static str,
    alert: &Alert,
    values: String,
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(alert.organization_id.uuid())
        .bind(alert.created_at.timestamp_micros())
        .bind(alert.id.uuid())
        .bind(values)
        .execute(conn)
        .await?;
    Ok(())
}
