//! Running the statements that both databases understand.

use std::future::Future;

use super::{row::Decode, value::Value};
use crate::{
    domain::{EstimatedSize, OrganizationId, Page, PageSize},
    store::StoreError,
};

/// The purpose of a statement, by which a database chooses a connection for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A list, a total or a history of an organization.
    List(OrganizationId),
    /// A few rows by their key, of an organization.
    LookUp(OrganizationId),
    /// A change of one row of an organization, which may wait for others.
    Change(OrganizationId),
    /// A change that belongs to no organization's callers.
    Administration,
    /// Reading that belongs to no organization, or that no caller waits for.
    Background,
}

/// A statement of fixed text, with the values of its parameters.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text.
    pub sql: &'static str,
    /// The values.
    pub values: Vec<Value<'static>>,
}

/// A database that runs statements. Waits for whoever locks the rows.
pub trait Database: Send + Sync + 'static {
    /// Reads the first row, if there is one; or changes it.
    fn optional<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        statement: Statement,
    ) -> impl Future<Output = Result<Option<K::Entity>, StoreError>> + Send;

    /// Reads all rows.
    fn all<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<K::Entity>, StoreError>> + Send;

    /// Reads rows until the page is full.
    fn page<K: Decode + Send + Unpin + 'static>(
        &self,
        purpose: Purpose,
        size: PageSize,
        statement: Statement,
    ) -> impl Future<Output = Result<Page<K::Entity>, StoreError>> + Send
    where
        K::Entity: EstimatedSize;
}
