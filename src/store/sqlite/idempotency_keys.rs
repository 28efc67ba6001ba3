//! Idempotency keys and the answers that are replayed under them.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Batch, SqliteStore, query, sql};
use crate::{
    domain::{ChangeContext, Idempotent, OrganizationId, Timestamp},
    store::{
        IDEMPOTENCY_TTL, IdempotencyStore, StoreError,
        queue::Load,
        shared::idempotency::{self, IdempotencyRecord, Replayable},
    },
};

impl SqliteStore {
    /// Makes a change other than of an alert, unless it is one that happened before.
    pub(super) async fn once<T: Replayable + Send + 'static>(
        &self,
        organization: OrganizationId,
        context: &ChangeContext,
        change: impl Fn(&Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Idempotent<T>, StoreError> {
        let context = context.clone();
        self.write_for(Load { organization, bytes: 0 }, move |batch| {
            let memory = select(batch.conn, organization, &context)?;
            if let Some(answer) = idempotency::replay(context.idempotency.as_ref(), memory, None)? {
                return Ok(answer);
            }
            let value = change(batch)?;
            record(batch.conn, organization, &context, &idempotency::text_of(&value)?)?;
            Ok(Idempotent::fresh(value))
        })
        .await
    }
}

#[async_trait]
impl IdempotencyStore for SqliteStore {
    async fn expire_idempotency_keys(&self, at: Timestamp) -> Result<u64, StoreError> {
        let since = (at - IDEMPOTENCY_TTL).timestamp_micros();
        self.write(move |batch| {
            let deleted = query::execute(batch.conn, sql::DELETE_OLD_IDEMPOTENCY_KEYS, params![since])?;
            Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
        })
        .await
    }
}

fn select(
    conn: &Connection,
    organization: OrganizationId,
    context: &ChangeContext,
) -> Result<Option<IdempotencyRecord>, StoreError> {
    let Some(idempotency) = &context.idempotency else { return Ok(None) };
    let since = (context.at - IDEMPOTENCY_TTL).timestamp_micros();
    let params = params![organization.uuid(), idempotency.key.as_str(), since];
    let mut statement = conn.prepare_cached(sql::SELECT_IDEMPOTENCY_KEY)?;
    let record = statement
        .query_row(params, |row| Ok(IdempotencyRecord { fingerprint: row.get(0)?, answer: row.get(1)? }));
    Ok(record.optional()?)
}

/// Records the answer, if the change has a key; a record that has expired is replaced.
pub fn record(
    conn: &Connection,
    organization: OrganizationId,
    context: &ChangeContext,
    answer: &str,
) -> Result<(), StoreError> {
    let Some(idempotency) = &context.idempotency else { return Ok(()) };
    let (key, fingerprint) = (idempotency.key.as_str(), idempotency.fingerprint);
    let at = context.at.timestamp_micros();
    let params = params![organization.uuid(), key, fingerprint, answer, at];
    query::execute(conn, sql::INSERT_IDEMPOTENCY_KEY, params)?;
    Ok(())
}
