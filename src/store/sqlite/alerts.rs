//! Writing alerts.

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{SqliteStore, rows::json_list, sql};
use crate::{
    domain::{
        Alert, AlertPatch, AnomalyId, ChangeContext, EntityId, NewAlert, OrganizationId, Person, StatusClass,
        StatusKey,
    },
    store::{StoreError, failure::Failure, rows::AlertRow},
};

impl SqliteStore {
    pub(super) async fn insert_alert(
        &self,
        alert: NewAlert,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError> {
        let mut transaction = self.begin().await?;
        let class = class_of(&mut transaction, alert.organization_id, &alert.status).await?;
        let alert = alert.into_alert(class, change);
        let inserted = insert(&mut transaction, &alert).await;
        inserted.map_err(|failure| unknown_status(failure, &alert))?;
        index_entities(&mut transaction, sql::INSERT_ENTITIES, &alert, &entities(&alert)).await?;
        index_escalations(&mut transaction, sql::INSERT_ESCALATIONS, &alert, &alert.escalated_to).await?;
        transaction.commit().await?;
        Ok(alert)
    }

    pub(super) async fn patch_alert(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        patch: &AlertPatch,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError> {
        let mut transaction = self.begin().await?;
        let before = select(&mut transaction, organization, id).await?.ok_or(StoreError::NotFound)?;
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
    transaction: &mut Transaction<'_, Sqlite>,
    before: &Alert,
    after: &Alert,
) -> Result<(), StoreError> {
    let updated = update(transaction, after).await;
    updated.map_err(|failure| unknown_status(failure, after))?;
    if after.entities != before.entities {
        index_entities(transaction, sql::DELETE_ENTITIES, before, &entities(before)).await?;
        index_entities(transaction, sql::INSERT_ENTITIES, after, &entities(after)).await?;
    }
    if after.escalated_to != before.escalated_to {
        index_escalations(transaction, sql::DELETE_ESCALATIONS, before, &before.escalated_to).await?;
        index_escalations(transaction, sql::INSERT_ESCALATIONS, after, &after.escalated_to).await?;
    }
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

async fn class_of(
    conn: &mut SqliteConnection,
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

fn unknown_status(failure: Failure, alert: &Alert) -> StoreError {
    let collision = StoreError::Internal(format!("the id {} is taken", alert.id).into());
    failure.meaning(collision, StoreError::UnknownStatus(alert.status.clone()))
}

async fn insert(conn: &mut SqliteConnection, alert: &Alert) -> Result<(), Failure> {
    sqlx::query(sql::INSERT_ALERT)
        .bind(alert.organization_id.uuid())
        .bind(alert.id.uuid())
        .bind(alert.title.as_str())
        .bind(alert.description.as_str())
        .bind(alert.kind.code())
        .bind(alert.status.as_str())
        .bind(alert.status_class.code())
        .bind(alert.severity.code())
        .bind(alert.assigned_to.as_str())
        .bind(json_list(&alert.escalated_to))
        .bind(json_list(&alert.entities.balances))
        .bind(json_list(&alert.entities.transactions))
        .bind(json_list(&alert.entities.identities))
        .bind(alert.metadata.to_value().to_string())
        .bind(alert.version)
        .bind(alert.created_at.timestamp_micros())
        .bind(alert.updated_at.timestamp_micros())
        .execute(conn)
        .await?;
    Ok(())
}

async fn update(conn: &mut SqliteConnection, alert: &Alert) -> Result<(), Failure> {
    sqlx::query(sql::UPDATE_ALERT)
        .bind(alert.title.as_str())
        .bind(alert.description.as_str())
        .bind(alert.status.as_str())
        .bind(alert.status_class.code())
        .bind(alert.severity.code())
        .bind(alert.assigned_to.as_str())
        .bind(json_list(&alert.escalated_to))
        .bind(json_list(&alert.entities.balances))
        .bind(json_list(&alert.entities.transactions))
        .bind(json_list(&alert.entities.identities))
        .bind(alert.metadata.to_value().to_string())
        .bind(alert.version)
        .bind(alert.updated_at.timestamp_micros())
        .bind(alert.organization_id.uuid())
        .bind(alert.id.uuid())
        .execute(conn)
        .await?;
    Ok(())
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
