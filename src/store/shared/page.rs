//! Reading a page row by row.

use super::row::Decode;
use crate::{
    domain::{EstimatedSize, Page, PageBuilder, PageSize},
    store::StoreError,
};

/// Reads rows until the page is full, and holds none that follow. Before a row that makes no sense the page ends early, so that
/// the error belongs to the page that begins with the row.
pub struct PageReader<K: Decode> {
    page: PageBuilder<K::Entity>,
}

impl<K: Decode> PageReader<K>
where
    K::Entity: EstimatedSize,
{
    /// A reader of one page.
    pub const fn new(size: PageSize) -> Self {
        Self { page: PageBuilder::new(size) }
    }

    /// Returns true where the page takes another row.
    pub const fn wants_more(&self) -> bool {
        !self.page.is_full()
    }

    /// Takes what came of reading a row.
    ///
    /// # Errors
    /// Those of the database; that of a row that makes no sense, where the page begins with it.
    pub fn take(&mut self, row: Result<K, StoreError>) -> Result<(), StoreError> {
        match row.and_then(|row| Ok(K::Entity::try_from(row)?)) {
            Ok(entry) => self.page.push(entry),
            Err(StoreError::Inconsistent(_)) if self.page.end_early() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The page.
    pub fn finish(self) -> Page<K::Entity> {
        self.page.finish()
    }
}
