//! Chooses the store by the scheme of its URL.

use std::sync::Arc;

use super::{
    Store,
    postgres::PostgresStore,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
    sqlite::SqliteStore,
};

/// Which database a URL names.
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    fn of(url: &str) -> Result<Self, OpenError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            // The URL may hold a password: it is not repeated.
            _ => Err(OpenError::Url("the database URL must begin with sqlite: or postgres://".to_owned())),
        }
    }
}

/// Opens the database at `url` with at most `connections` reading (SQLite) or all (PostgreSQL) connections.
///
/// # Errors
/// When the URL names no database, it can't be reached, or its schema does not fit.
pub async fn open(url: &str, connections: u32, on_older: OnOlderSchema) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match Kind::of(url)? {
        Kind::Sqlite => Arc::new(SqliteStore::open(url, connections, on_older).await?),
        Kind::Postgres => Arc::new(PostgresStore::open(url, connections, on_older).await?),
    })
}

/// How the schema of the database at `url` compares to the one that this version knows; changes nothing.
///
/// # Errors
/// When the URL names no database or it can't be reached.
pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
    match Kind::of(url)? {
        Kind::Sqlite => SqliteStore::schema_version(url).await,
        Kind::Postgres => PostgresStore::schema_version(url).await,
    }
}
