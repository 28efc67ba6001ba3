//! Intended changes that are remembered, and their answers.

use super::{
    PostgresStore,
    connections::{BARELY, Use},
    lent::Lent,
    sql,
};
use crate::{
    domain::{AlertChange, Answer, ChangeContext, Idempotency, OrganizationId},
    store::{
        StoreError,
        answers::{self, Memory, Remembered},
    },
};

/// A change that is to happen once.
pub enum Once<T> {
    /// It happens now, in the transaction of this connection; [`finish`] ends it.
    Now(Lent),
    /// It happened before.
    Before(Answer<T>),
}

impl PostgresStore {
    /// Begins a change other than of an alert.
    pub(super) async fn once<T: Remembered>(
        &self,
        what: Use,
        organization: OrganizationId,
        context: &ChangeContext,
    ) -> Result<Once<T>, StoreError> {
        let mut lent = self.connections.begin_waiting(what, BARELY).await?;
        let Some(idempotency) = &context.idempotency else { return Ok(Once::Now(lent)) };
        lock_head(&mut lent, organization).await?;
        let row: Option<(Vec<u8>, String)> = sqlx::query_as(sql::SELECT_MEMORY)
            .bind(organization.uuid())
            .bind(idempotency.key.as_str())
            .fetch_optional(&mut lent)
            .await?;
        let memory = row.map(|(fingerprint, answer)| Memory { fingerprint, answer });
        match answers::recall(Some(idempotency), memory, None)? {
            Some(answer) => Ok(Once::Before(answer)),
            None => Ok(Once::Now(lent)),
        }
    }

    pub(super) async fn delete_old_memories(&self) -> Result<u64, StoreError> {
        let mut lent = self.connections.lend(Use::Background).await?;
        Ok(sqlx::query(sql::DELETE_OLD_MEMORIES).execute(&mut lent).await?.rows_affected())
    }
}

/// Remembers the answer, if it is to be, and commits.
pub async fn finish<T: Remembered>(
    mut lent: Lent,
    organization: OrganizationId,
    context: &ChangeContext,
    value: T,
) -> Result<Answer<T>, StoreError> {
    if let Some(idempotency) = &context.idempotency {
        forget_key(&mut lent, organization, idempotency).await?;
        sqlx::query(sql::REMEMBER)
            .bind(organization.uuid())
            .bind(idempotency.key.as_str())
            .bind(idempotency.fingerprint.as_slice())
            .bind(answers::text_of(&value)?)
            .execute(&mut lent)
            .await?;
    }
    lent.commit().await?;
    Ok(Answer::fresh(value))
}

/// Waits until nobody else changes anything of the organization.
pub async fn lock_head(lent: &mut Lent, organization: OrganizationId) -> Result<(), StoreError> {
    sqlx::query(sql::LOCK_HEADS).bind([organization.uuid()]).execute(lent).await?;
    Ok(())
}

async fn forget_key(
    lent: &mut Lent,
    organization: OrganizationId,
    idempotency: &Idempotency,
) -> Result<(), StoreError> {
    let (organizations, keys) = ([organization.uuid()], [idempotency.key.as_str()]);
    let query = sqlx::query(sql::DELETE_EXPIRED_MEMORIES).bind(organizations).bind(keys);
    query.execute(lent).await?;
    Ok(())
}

/// Forgets what the idempotency keys of the changes named so long ago that they are free again.
pub async fn forget_expired(
    lent: &mut Lent,
    changes: impl Iterator<Item = &AlertChange>,
) -> Result<(), StoreError> {
    let named = changes.filter_map(|change| {
        let idempotency = change.context.idempotency.as_ref()?;
        Some((change.organization_id.uuid(), idempotency.key.as_str()))
    });
    let (organizations, keys): (Vec<_>, Vec<_>) = named.unzip();
    if keys.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(sql::DELETE_EXPIRED_MEMORIES).bind(organizations).bind(keys);
    query.execute(lent).await?;
    Ok(())
}
