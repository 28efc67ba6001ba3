//! Intended changes that are remembered, and their answers.

use rusqlite::{Connection, params};

use super::{Batch, SqliteStore, query, sql};
use crate::{
    domain::{Answer, ChangeContext, OrganizationId, Timestamp},
    store::{
        REMEMBERED, StoreError,
        answers::{self, Memory, Remembered},
        queue::Load,
    },
};

impl SqliteStore {
    /// Makes a change other than of an alert, unless it is one that happened before.
    pub(super) async fn once<T: Remembered + Send + 'static>(
        &self,
        organization: OrganizationId,
        context: &ChangeContext,
        change: impl Fn(&Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Answer<T>, StoreError> {
        let context = context.clone();
        self.write_for(Load { organization, bytes: 0 }, move |batch| {
            let memory = select(batch.conn, organization, &context)?;
            if let Some(answer) = answers::recall(context.idempotency.as_ref(), memory, None)? {
                return Ok(answer);
            }
            let value = change(batch)?;
            remember(batch.conn, organization, &context, &answers::text_of(&value)?)?;
            Ok(Answer::fresh(value))
        })
        .await
    }

    pub(super) async fn delete_old_memories(&self, at: Timestamp) -> Result<u64, StoreError> {
        let since = (at - REMEMBERED).timestamp_micros();
        self.write(move |batch| {
            let deleted = query::execute(batch.conn, sql::DELETE_OLD_MEMORIES, params![since])?;
            Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
        })
        .await
    }
}

fn select(
    conn: &Connection,
    organization: OrganizationId,
    context: &ChangeContext,
) -> Result<Option<Memory>, StoreError> {
    let Some(idempotency) = &context.idempotency else { return Ok(None) };
    let since = (context.at - REMEMBERED).timestamp_micros();
    let params = params![organization.uuid(), idempotency.key.as_str(), since];
    query::optional(conn, sql::SELECT_MEMORY, params, |row| {
        Ok(Memory { fingerprint: row.get(0)?, answer: row.get(1)? })
    })
}

/// Remembers the answer, if it is to be; what the key named longer ago than changes are remembered is replaced.
pub fn remember(
    conn: &Connection,
    organization: OrganizationId,
    context: &ChangeContext,
    answer: &str,
) -> Result<(), StoreError> {
    let Some(idempotency) = &context.idempotency else { return Ok(()) };
    let (key, fingerprint) = (idempotency.key.as_str(), idempotency.fingerprint);
    let at = context.at.timestamp_micros();
    let params = params![organization.uuid(), key, fingerprint, answer, at];
    query::execute(conn, sql::REMEMBER, params)?;
    Ok(())
}
