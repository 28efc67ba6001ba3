//! Chooses the store by the scheme of its URL.

use std::{path::Path, sync::Arc};

pub use super::options::{Options, Sharing};
use super::{
    Store,
    postgres::PostgresStore,
    schema::{OnOlderSchema, OpenError, SchemaVersion},
    sqlite::{Restore, SqliteStore},
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

/// Checks that `url` names a database, without a look at whether it is there.
///
/// # Errors
/// [`OpenError::Url`].
pub fn check_url(url: &str) -> Result<(), OpenError> {
    match Kind::of(url)? {
        Kind::Sqlite => SqliteStore::check_url(url),
        Kind::Postgres => PostgresStore::check_url(url),
    }
}

/// Opens the database at `url`.
///
/// # Errors
/// When the URL names no database, it can't be reached, or its schema does not fit.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match Kind::of(url)? {
        Kind::Sqlite => Arc::new(SqliteStore::open(url, options).await?),
        Kind::Postgres => Arc::new(PostgresStore::open(url, options).await?),
    })
}

/// Passes where there is a database at `url`, for who would not make one; whether a server has it shows when it is opened.
///
/// # Errors
/// [`OpenError::Url`]; [`OpenError::Missing`].
pub fn check_there(url: &str) -> Result<(), OpenError> {
    match Kind::of(url)? {
        Kind::Sqlite => SqliteStore::check_there(url),
        Kind::Postgres => Ok(()),
    }
}

/// Writes a whole copy of the database at `url`, as it stands at one moment, to the new file `target`; gives the URL of the copy.
/// `None` where the database is on a server, which has its own means.
///
/// # Errors
/// When the URL names no database, it can't be read, the copy can't be written, or it is not sound.
pub async fn copy(url: &str, target: &Path) -> Result<Option<String>, OpenError> {
    match Kind::of(url)? {
        Kind::Postgres => Ok(None),
        Kind::Sqlite => {
            let (url, target) = (url.to_owned(), target.to_owned());
            let copied = tokio::task::spawn_blocking(move || SqliteStore::copy(&url, &target)).await;
            copied.map_err(|error| OpenError::Unreachable(error.to_string()))?.map(Some)
        }
    }
}

/// Begins to restore the database at `url` from the file `source`. `None` where the database is on a server, which has its own means.
///
/// # Errors
/// When the URL names no database, somebody is at work on it, or its folder or the file does not let it.
pub fn begin_restore(url: &str, source: &Path) -> Result<Option<Restore>, OpenError> {
    match Kind::of(url)? {
        Kind::Postgres => Ok(None),
        Kind::Sqlite => SqliteStore::begin_restore(url, source).map(Some),
    }
}

/// Opens the database at `url` to read it; a file is not changed, nor what stands beside it.
///
/// # Errors
/// When the URL names no database, it can't be reached, or its schema does not fit.
pub async fn open_reading(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match Kind::of(url)? {
        Kind::Sqlite => Arc::new(SqliteStore::open_reading(url).await?),
        Kind::Postgres => {
            Arc::new(PostgresStore::open(url, Options::for_command(OnOlderSchema::Refuse)).await?)
        }
    })
}

/// How the schema of the database at `url` compares to the one that this version knows; changes nothing.
///
/// # Errors
/// When the URL names no database or it can't be reached.
pub async fn schema_version(url: &str) -> Result<SchemaVersion, OpenError> {
    match Kind::of(url)? {
        Kind::Sqlite => SqliteStore::schema_version(url),
        Kind::Postgres => PostgresStore::schema_version(url).await,
    }
}
