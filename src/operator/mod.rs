//! Use cases of whoever holds the database: the command line, and the start of a server. They ask for no key and no scope,
//! so the faces reach [`crate::service`] only.

mod adoption;
pub mod audit;
mod bootstrap;
mod feed;
mod keys;
mod organizations;

use std::sync::Arc;

use crate::{
    domain::{Clock, IdSource},
    store::Store,
};

pub use bootstrap::FirstKey;
pub use keys::NewKeyInput;

/// The use cases over one store.
#[derive(Clone)]
pub struct Operator {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Operator {
    /// The use cases over `store`, telling time by `clock` and taking fresh ids from `ids`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, clock, ids }
    }

    /// Closes the store: changes on their way are committed, and nothing is left beside a file.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
