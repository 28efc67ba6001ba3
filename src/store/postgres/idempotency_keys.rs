//! Idempotency keys and the answers that are replayed under them.

use async_trait::async_trait;

use super::{
    PostgresStore,
    connections::{BARELY, Use},
    lent::Lent,
    sql,
};
use crate::{
    domain::{AlertChange, ChangeContext, Idempotency, Idempotent, OrganizationId, Timestamp},
    store::{
        IdempotencyStore, StoreError,
        shared::idempotency::{self, IdempotencyRecord, Replayable},
    },
};

/// A change that is to happen once.
pub enum Once<T> {
    /// It happens now, in the transaction of this connection; [`finish`] ends it.
    Now(Lent),
    /// It happened before.
    Before(Idempotent<T>),
}

impl PostgresStore {
    /// Begins a change other than of an alert.
    pub(super) async fn once<T: Replayable>(
        &self,
        what: Use,
        organization: OrganizationId,
        context: &ChangeContext,
    ) -> Result<Once<T>, StoreError> {
        let mut lent = self.connections.begin_waiting(what, BARELY).await?;
        let Some(idempotency) = &context.idempotency else { return Ok(Once::Now(lent)) };
        lock_head(&mut lent, organization).await?;
        let row: Option<(Vec<u8>, String)> = sqlx::query_as(sql::SELECT_IDEMPOTENCY_KEY)
            .bind(organization.uuid())
            .bind(idempotency.key.as_str())
            .fetch_optional(&mut lent)
            .await?;
        let memory = row.map(|(fingerprint, answer)| IdempotencyRecord { fingerprint, answer });
        match idempotency::replay(Some(idempotency), memory, None)? {
            Some(answer) => Ok(Once::Before(answer)),
            None => Ok(Once::Now(lent)),
        }
    }
}

#[async_trait]
impl IdempotencyStore for PostgresStore {
    /// By the database's clock, which is the same for every instance.
    async fn expire_idempotency_keys(&self, _at: Timestamp) -> Result<u64, StoreError> {
        let mut lent = self.connections.lend(Use::Background).await?;
        Ok(sqlx::query(sql::DELETE_OLD_IDEMPOTENCY_KEYS).execute(&mut lent).await?.rows_affected())
    }
}

/// Records the answer, if the change has a key, and commits.
pub async fn finish<T: Replayable>(
    mut lent: Lent,
    organization: OrganizationId,
    context: &ChangeContext,
    value: T,
) -> Result<Idempotent<T>, StoreError> {
    if let Some(idempotency) = &context.idempotency {
        forget_key(&mut lent, organization, idempotency).await?;
        sqlx::query(sql::INSERT_IDEMPOTENCY_KEY)
            .bind(organization.uuid())
            .bind(idempotency.key.as_str())
            .bind(idempotency.fingerprint.as_slice())
            .bind(idempotency::text_of(&value)?)
            .execute(&mut lent)
            .await?;
    }
    lent.commit().await?;
    Ok(Idempotent::fresh(value))
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
    let query = sqlx::query(sql::DELETE_EXPIRED_IDEMPOTENCY_KEYS).bind(organizations).bind(keys);
    query.execute(lent).await?;
    Ok(())
}

/// Forgets what the idempotency keys of the changes named so long ago that they are free again.
pub async fn delete_expired(
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
    let query = sqlx::query(sql::DELETE_EXPIRED_IDEMPOTENCY_KEYS).bind(organizations).bind(keys);
    query.execute(lent).await?;
    Ok(())
}
