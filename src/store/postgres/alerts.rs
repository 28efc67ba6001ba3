//! Writing alerts.

use sqlx::{PgConnection, Postgres, Transaction, types::Json};

use super::{PostgresStore, sql};
use crate::{
    domain::{
        Alert, AlertPatch, AnomalyId, ChangeContext, NewAlert, OrganizationId, StatusClass, StatusKey,
        text::words,
    },
    store::{StoreError, failure::Failure, rows::AlertRow},
};

impl PostgresStore {
    pub(super) async fn insert_alert(
        &self,
        alert: NewAlert,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError> {
        let inserted = insert(&self.pool, &alert, change).await;
        let code = inserted.map_err(|failure| unknown_status(failure, alert.id, &alert.status))?;
        let unknown = || StoreError::UnknownStatus(alert.status.clone());
        let class = code.and_then(StatusClass::from_code).ok_or_else(unknown)?;
        Ok(alert.into_alert(class, change))
    }

    pub(super) async fn patch_alert(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        patch: &AlertPatch,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError> {
        let mut transaction = self.begin().await?;
        let before = select(&mut *transaction, sql::SELECT_ALERT_FOR_UPDATE, organization, id).await?;
        let before = before.ok_or(StoreError::NotFound)?;
        let class = match &patch.status {
            Some(status) => class_of(&mut transaction, organization, status).await?,
            None => before.status_class,
        };
        let after = before.patched(patch, class, change).map_err(StoreError::Rule)?;
        if after != before {
            write_changes(&mut transaction, &before, &after).await?;
            transaction.commit().await?;
        }
        Ok(after)
    }
}

async fn write_changes(
    transaction: &mut Transaction<'_, Postgres>,
    before: &Alert,
    after: &Alert,
) -> Result<(), StoreError> {
    let updated = update(transaction, after).await;
    updated.map_err(|failure| unknown_status(failure, after.id, &after.status))?;
    if after.entities != before.entities {
        let entities = |alert: &Alert| alert.entities.iter().map(ToString::to_string).collect();
        index(transaction, sql::DELETE_ENTITIES, before, entities(before)).await?;
        index(transaction, sql::INSERT_ENTITIES, after, entities(after)).await?;
    }
    if after.escalated_to != before.escalated_to {
        index(transaction, sql::DELETE_ESCALATIONS, before, words(&before.escalated_to)).await?;
        index(transaction, sql::INSERT_ESCALATIONS, after, words(&after.escalated_to)).await?;
    }
    Ok(())
}

/// Reads one alert by one of the statements that do.
pub async fn select(
    executor: impl sqlx::PgExecutor<'_>,
    statement: &'static str,
    organization: OrganizationId,
    id: AnomalyId,
) -> Result<Option<Alert>, StoreError> {
    let row: Option<AlertRow> =
        sqlx::query_as(statement).bind(organization.uuid()).bind(id.uuid()).fetch_optional(executor).await?;
    Ok(row.map(Alert::try_from).transpose()?)
}

async fn class_of(
    conn: &mut PgConnection,
    organization: OrganizationId,
    status: &StatusKey,
) -> Result<StatusClass, StoreError> {
    let code: Option<i16> = sqlx::query_scalar(sql::SELECT_CLASS)
        .bind(organization.uuid())
        .bind(status.as_str())
        .fetch_optional(conn)
        .await?;
    code.and_then(StatusClass::from_code).ok_or_else(|| StoreError::UnknownStatus(status.clone()))
}

fn unknown_status(failure: Failure, id: AnomalyId, status: &StatusKey) -> StoreError {
    let collision = StoreError::Internal(format!("the id {id} is taken").into());
    failure.meaning(collision, StoreError::UnknownStatus(status.clone()))
}

async fn insert(
    executor: impl sqlx::PgExecutor<'_>,
    alert: &NewAlert,
    change: &ChangeContext,
) -> Result<Option<i16>, Failure> {
    let class = sqlx::query_scalar(sql::INSERT_ALERT)
        .bind(alert.organization_id.uuid())
        .bind(alert.id.uuid())
        .bind(alert.title.as_str())
        .bind(alert.description.as_str())
        .bind(alert.kind.code())
        .bind(alert.status.as_str())
        .bind(alert.severity.code())
        .bind(alert.assigned_to.as_str())
        .bind(words(&alert.escalated_to))
        .bind(words(&alert.entities.balances))
        .bind(words(&alert.entities.transactions))
        .bind(words(&alert.entities.identities))
        .bind(Json(alert.metadata.as_map()))
        .bind(change.at)
        .fetch_optional(executor)
        .await?;
    Ok(class)
}

async fn update(conn: &mut PgConnection, alert: &Alert) -> Result<(), Failure> {
    sqlx::query(sql::UPDATE_ALERT)
        .bind(alert.organization_id.uuid())
        .bind(alert.id.uuid())
        .bind(alert.title.as_str())
        .bind(alert.description.as_str())
        .bind(alert.status.as_str())
        .bind(alert.status_class.code())
        .bind(alert.severity.code())
        .bind(alert.assigned_to.as_str())
        .bind(words(&alert.escalated_to))
        .bind(words(&alert.entities.balances))
        .bind(words(&alert.entities.transactions))
        .bind(words(&alert.entities.identities))
        .bind(Json(alert.metadata.as_map()))
        .bind(alert.version)
        .bind(alert.updated_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Runs a statement that adds or removes what finds an alert; all take the same values.
async fn index(
    conn: &mut PgConnection,
    statement: &'static str,
    alert: &Alert,
    values: Vec<String>,
) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(alert.organization_id.uuid())
        .bind(alert.created_at)
        .bind(alert.id.uuid())
        .bind(values)
        .execute(conn)
        .await?;
    Ok(())
}
