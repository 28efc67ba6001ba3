//! Intended changes that are remembered, and their answers.

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{SqliteStore, sql};
use crate::{
    domain::{Answer, ChangeContext, OrganizationId, Timestamp},
    store::{
        REMEMBERED, StoreError,
        answers::{self, Memory, Remembered},
    },
};

/// A change that is to happen once.
pub enum Once<T> {
    /// It happens now, in this transaction; [`finish`] ends it.
    Now(Transaction<'static, Sqlite>),
    /// It happened before.
    Before(Answer<T>),
}

impl SqliteStore {
    /// Begins a change other than of an alert.
    pub(super) async fn once<T: Remembered>(
        &self,
        organization: OrganizationId,
        context: &ChangeContext,
    ) -> Result<Once<T>, StoreError> {
        let mut transaction = self.begin().await?;
        let Some(idempotency) = &context.idempotency else { return Ok(Once::Now(transaction)) };
        let row: Option<(Vec<u8>, String)> = sqlx::query_as(sql::SELECT_MEMORY)
            .bind(organization.uuid())
            .bind(idempotency.key.as_str())
            .bind((context.at - REMEMBERED).timestamp_micros())
            .fetch_optional(&mut *transaction)
            .await?;
        let memory = row.map(|(fingerprint, answer)| Memory { fingerprint, answer });
        match answers::recall(Some(idempotency), memory)? {
            Some(answer) => Ok(Once::Before(answer)),
            None => Ok(Once::Now(transaction)),
        }
    }

    pub(super) async fn delete_old_memories(&self, at: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query(sql::DELETE_OLD_MEMORIES).bind((at - REMEMBERED).timestamp_micros());
        Ok(query.execute(&self.writer).await?.rows_affected())
    }
}

/// Remembers the answer, if it is to be, and commits.
pub async fn finish<T: Remembered>(
    mut transaction: Transaction<'static, Sqlite>,
    organization: OrganizationId,
    context: &ChangeContext,
    value: T,
) -> Result<Answer<T>, StoreError> {
    remember(&mut transaction, organization, context, &value).await?;
    transaction.commit().await?;
    Ok(Answer::fresh(value))
}

/// Remembers the answer, if it is to be; what the key named longer ago than changes are remembered is replaced.
async fn remember(
    conn: &mut SqliteConnection,
    organization: OrganizationId,
    context: &ChangeContext,
    value: &impl Remembered,
) -> Result<(), StoreError> {
    let Some(idempotency) = &context.idempotency else { return Ok(()) };
    sqlx::query(sql::REMEMBER)
        .bind(organization.uuid())
        .bind(idempotency.key.as_str())
        .bind(idempotency.fingerprint.as_slice())
        .bind(answers::text_of(value)?)
        .bind(context.at.timestamp_micros())
        .execute(conn)
        .await?;
    Ok(())
}
