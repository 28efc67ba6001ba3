//! Running the statements that both databases understand.

use super::{
    PostgresStore,
    connections::{Reads, Use},
    rows::{Decoded, arguments},
};
use crate::{
    domain::{EstimatedSize, Page, PageSize},
    store::{
        StoreError,
        shared::{
            database::{Database, Purpose, Statement},
            row::Decode,
        },
    },
};

impl From<Purpose> for Use {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::List(organization) | Purpose::LookUp(organization) => Self::Lists(organization),
            Purpose::Change(organization) => Self::Locks(organization),
            Purpose::Administration | Purpose::Background => Self::Background,
        }
    }
}

fn reads<K: Decode + Send + Unpin>(statement: &Statement) -> Result<Reads<Decoded<K>>, StoreError> {
    let arguments = arguments(statement.values.iter().cloned())?;
    Ok(sqlx::query_as_with(statement.sql, arguments))
}

impl Database for PostgresStore {
    async fn optional<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        statement: Statement,
    ) -> Result<Option<K::Entity>, StoreError> {
        let row = self.connections.optional(purpose.into(), || reads::<K>(&statement)).await?;
        Ok(row.map(|Decoded(row)| K::Entity::try_from(row)).transpose()?)
    }

    async fn all<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        statement: Statement,
    ) -> Result<Vec<K::Entity>, StoreError> {
        let rows = self.connections.all(purpose.into(), || reads::<K>(&statement)).await?;
        Ok(rows.into_iter().map(|Decoded(row)| K::Entity::try_from(row)).collect::<Result<_, _>>()?)
    }

    async fn page<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        size: PageSize,
        statement: Statement,
    ) -> Result<Page<K::Entity>, StoreError>
    where
        K::Entity: EstimatedSize,
    {
        self.connections.page(purpose.into(), size, || reads::<K>(&statement)).await
    }
}
