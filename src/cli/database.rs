//! Opening the database that the flags name.

use crate::{
    app,
    operator::Operator,
    store::{connect, schema::OnOlderSchema},
};

pub use crate::config::Database;

impl Database {
    /// Opens the database with its current schema, for a command that runs beside a server.
    ///
    /// # Errors
    /// When it is not there, can't be opened, or its schema does not fit.
    pub async fn open(&self) -> anyhow::Result<Operator> {
        connect::check_there(self.url())?;
        app::open_database(self.url(), OnOlderSchema::Refuse).await
    }

    /// Opens the database for reading only.
    ///
    /// # Errors
    /// When it is not there, can't be opened, or its schema does not fit.
    pub async fn open_reading(&self) -> anyhow::Result<Operator> {
        app::open_database_reading(self.url()).await
    }

    /// Opens the database, and creates the schema of an empty one.
    ///
    /// # Errors
    /// When it is not there, can't be opened, or its schema does not fit.
    pub async fn open_or_make(&self) -> anyhow::Result<Operator> {
        connect::check_there(self.url())?;
        app::open_database(self.url(), OnOlderSchema::MigrateIfEmpty).await
    }
}
