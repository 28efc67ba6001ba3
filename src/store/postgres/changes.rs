//! Changing alerts, each change with its event and under its idempotency key.
//!
//! A change takes two round trips: one statement reads all that it is decided from, in one snapshot; another saves what was
//! decided, if the organization's head still has the revision that was read. Every change moves the revision, so where it
//! has not moved, nothing has changed. A plain flag takes the second alone, where this instance made the change before it
//! (`turns.rs`). Within this instance changes of one organization take turns; where another instance came in between, the
//! change is decided once more, under the lock of the head's row.

use sqlx::{PgExecutor, Postgres, postgres::PgArguments, query::QueryScalar, types::Json};

use super::{PostgresStore, memory, sql, turns::Turn};
use crate::{
    domain::{
        Alert, AlertChange, AnomalyId, Answer, ChainHash, Changed, Decision, DedupKey, Head, IdempotencyKey,
        OrganizationId, StatusKey, decide, text::words,
    },
    store::{
        REMEMBERED, StoreError, answers,
        failure::Failure,
        known::{KnownRow, Reading},
        rows::AlertRow,
    },
};

impl PostgresStore {
    pub(super) async fn change(&self, change: &AlertChange) -> Result<Answer<Changed>, StoreError> {
        let mut turn = self.turns.take(change.organization_id).await;
        if let Some(reading) = turn.recall(change)
            && let Some(answer) = self.attempt(&mut turn, change, reading).await?
        {
            return Ok(answer);
        }
        let reading = read(&self.pool, change).await?;
        match self.attempt(&mut turn, change, reading).await? {
            Some(answer) => Ok(answer),
            None => self.change_locked(change).await,
        }
    }

    /// Changes it as was decided from `reading`; `None` when somebody else came in between.
    async fn attempt(
        &self,
        turn: &mut Turn,
        change: &AlertChange,
        reading: Reading,
    ) -> Result<Option<Answer<Changed>>, StoreError> {
        let Reading { known, memory, revision } = reading;
        if let Some(answer) = answers::recall(change.context.idempotency.as_ref(), memory)? {
            return Ok(Some(answer));
        }
        let head = known.head;
        let decision = decide(change, known)?;
        if is_nothing(change, &decision) {
            return Ok(Some(Answer::fresh(decision.changed)));
        }
        match save(&self.pool, change, (head, revision), &decision).await {
            Ok(true) => {
                turn.leave(change.organization_id, decision.head(head), revision + 1);
                Ok(Some(Answer::fresh(decision.changed)))
            }
            Ok(false) => {
                turn.note_another();
                Ok(None)
            }
            // The status is gone, or the idempotency key is there, perhaps an old one.
            Err(Failure::ForeignKey | Failure::Unique) => Ok(None),
            Err(Failure::Other(error)) => Err(error),
        }
    }

    async fn change_locked(&self, change: &AlertChange) -> Result<Answer<Changed>, StoreError> {
        let mut transaction = self.begin().await?;
        memory::lock_head(&mut transaction, change.organization_id).await?;
        let Reading { known, memory, revision } = read(&mut *transaction, change).await?;
        if let Some(answer) = answers::recall(change.context.idempotency.as_ref(), memory)? {
            return Ok(answer);
        }
        let head = known.head;
        let decision = decide(change, known)?;
        if is_nothing(change, &decision) {
            return Ok(Answer::fresh(decision.changed));
        }
        memory::forget_expired(&mut transaction, change.organization_id, &change.context).await?;
        let saved = save(&mut *transaction, change, (head, revision), &decision).await;
        let is_saved = saved.map_err(|failure| meaning(failure, change, &decision))?;
        if !is_saved {
            return Err(StoreError::Internal("the head moved under its lock".into()));
        }
        transaction.commit().await?;
        Ok(Answer::fresh(decision.changed))
    }
}

/// Whether there is nothing to store, not even that it was asked for.
fn is_nothing(change: &AlertChange, decision: &Decision) -> bool {
    decision.is_empty() && change.context.idempotency.is_none()
}

fn meaning(failure: Failure, change: &AlertChange, decision: &Decision) -> StoreError {
    let taken = format!("the id {} or its place in the history is taken", decision.changed.alert.id);
    let status = decision.changed.alert.status.clone();
    let collision = StoreError::Internal(taken.into());
    failure.meaning(collision, StoreError::UnknownStatus(change.status().cloned().unwrap_or(status)))
}

async fn read(executor: impl PgExecutor<'_>, change: &AlertChange) -> Result<Reading, StoreError> {
    let idempotency = change.context.idempotency.as_ref();
    let row: Option<KnownRow> = sqlx::query_as(sql::SELECT_KNOWN)
        .bind(change.organization_id.uuid())
        .bind(change.anomaly_id().map(AnomalyId::uuid))
        .bind(change.dedup_key().map(DedupKey::as_str))
        .bind(change.status().map(StatusKey::as_str))
        .bind(idempotency.map(|idempotency| idempotency.key.as_str()))
        .bind(change.context.at - REMEMBERED)
        .fetch_optional(executor)
        .await?;
    row.ok_or_else(|| StoreError::no_organization(change))?.read(change.organization_id)
}

/// Saves what was decided; tells whether the head, which was `head`, still had that revision.
async fn save(
    executor: impl PgExecutor<'_>,
    change: &AlertChange,
    head: (Head, i64),
    decision: &Decision,
) -> Result<bool, Failure> {
    let statement = if decision.before.is_none() { sql::SAVE_NEW } else { sql::SAVE_CHANGED };
    let save = bind_history(sqlx::query_scalar(statement), change, head, decision)?;
    let save = bind_alert(save, &decision.changed.alert);
    let save = match &decision.before {
        None => bind_birth(save, &decision.changed.alert),
        Some(before) => bind_index(save, before, &decision.changed.alert),
    };
    let saved: Option<bool> = save.fetch_optional(executor).await?;
    Ok(saved.is_some())
}

type Save<'q> = QueryScalar<'q, Postgres, bool, PgArguments>;

/// What `save_history!` takes.
fn bind_history<'q>(
    save: Save<'q>,
    change: &AlertChange,
    (head, revision): (Head, i64),
    decision: &Decision,
) -> Result<Save<'q>, Failure> {
    let (next, event) = (decision.head(head), decision.event.as_ref());
    let context = &change.context;
    let bytes = |hash: ChainHash| hash.0.to_vec();
    let save = save
        .bind(change.organization_id.uuid())
        .bind(next.position)
        .bind(bytes(next.hash))
        .bind(revision)
        .bind(bytes(head.hash))
        .bind(context.event_id)
        .bind(decision.changed.alert.id.uuid())
        .bind(decision.changed.alert.sequence)
        .bind(event.map(|event| event.kind.code()))
        .bind(context.actor.key_id.uuid())
        .bind(context.actor.key_name.as_str().to_owned())
        .bind(context.actor.on_behalf_of.as_ref().map(ToString::to_string))
        .bind(event.map(crate::domain::AlertEvent::changes_text))
        .bind(context.note.as_str().to_owned())
        .bind(context.request_id.clone())
        .bind(event.and_then(|event| event.idempotency_key.as_ref()).map(key_text))
        .bind(event.map(|event| event.created_at))
        .bind(event.is_some());
    let remembered = context.idempotency.as_ref();
    let answer = remembered.map(|_| answers::text_of(&decision.changed)).transpose();
    Ok(save
        .bind(remembered.map(|idempotency| key_text(&idempotency.key)))
        .bind(remembered.map(|idempotency| idempotency.fingerprint.to_vec()))
        .bind(answer.map_err(Failure::Other)?)
        .bind(context.at)
        .bind(remembered.is_some()))
}

fn key_text(key: &IdempotencyKey) -> String {
    key.as_str().to_owned()
}

/// The fields that can change.
fn bind_alert<'q>(save: Save<'q>, alert: &Alert) -> Save<'q> {
    let row = AlertRow::from(alert);
    save.bind(row.title)
        .bind(row.description)
        .bind(row.status)
        .bind(row.status_class)
        .bind(row.severity)
        .bind(row.assigned_to)
        .bind(row.escalated_to)
        .bind(row.affected_balances)
        .bind(row.affected_transactions)
        .bind(row.affected_identities)
        .bind(Json(row.metadata))
        .bind(row.version)
        .bind(row.updated_at)
        .bind(row.disposition)
        .bind(row.disposition_reason)
        .bind(row.closed_at)
        .bind(row.closed_by.map(Json))
        .bind(row.occurrence_count)
        .bind(row.last_occurred_at)
        .bind(row.sequence)
        .bind(row.created_at)
}

/// The fields that are given once.
fn bind_birth<'q>(save: Save<'q>, alert: &Alert) -> Save<'q> {
    save.bind(alert.kind.code())
        .bind(alert.dedup_key.as_ref().map(ToString::to_string))
        .bind(alert.previous_anomaly_id.map(AnomalyId::uuid))
}

/// What finds the alert no longer, and what finds it now.
fn bind_index<'q>(save: Save<'q>, before: &Alert, after: &Alert) -> Save<'q> {
    let entities = |alert: &Alert| alert.entities.iter().map(ToString::to_string).collect::<Vec<_>>();
    let people = |alert: &Alert| words(&alert.escalated_to);
    save.bind(only_in(entities(before), &entities(after)))
        .bind(only_in(entities(after), &entities(before)))
        .bind(only_in(people(before), &people(after)))
        .bind(only_in(people(after), &people(before)))
}

fn only_in(mut these: Vec<String>, others: &[String]) -> Vec<String> {
    these.retain(|entry| !others.contains(entry));
    these
}

/// Reads one alert.
pub async fn select(
    executor: impl PgExecutor<'_>,
    organization: OrganizationId,
    id: AnomalyId,
) -> Result<Option<Alert>, StoreError> {
    let row: Option<AlertRow> = sqlx::query_as(sql::SELECT_ALERT)
        .bind(organization.uuid())
        .bind(id.uuid())
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Alert::try_from).transpose()?)
}
