//! A whole copy of a database, as it stands at one moment, also while a service writes to it.

use std::path::Path;

use rusqlite::Connection;

use super::{file, read_only};
use crate::store::schema::OpenError;

/// Writes a copy of the database at `source` to the new file `target`, which only its owner can read, and checks the copy's pages.
/// Nothing beside it is needed to read it.
///
/// # Errors
/// When the database can't be read, the copy can't be written, or it is not sound.
pub fn copy(source: &Path, target: &Path) -> Result<(), OpenError> {
    let unusable = |error| OpenError::Unreachable(format!("{}: {error}", target.display()));
    file::make_private(target).map_err(unusable)?;
    let (connections, immutable) = read_only::open(source, 1)?;
    let Some(conn) = connections.first() else {
        return Err(OpenError::Unreachable("no connection was opened".to_owned()));
    };
    // SQLite takes the empty file for a new database.
    conn.execute(
        "VACUUM INTO ?1",
        [format!("file:{}", read_only::encoded(&std::path::absolute(target).map_err(unusable)?))],
    )?;
    if let Some(immutable) = immutable {
        immutable.check().map_err(|error| OpenError::Unreachable(error.to_string()))?;
    }
    check_pages(target)
}

fn check_pages(target: &Path) -> Result<(), OpenError> {
    let (connections, _) = read_only::open(target, 1)?;
    let check =
        |conn: &Connection| conn.query_row("PRAGMA integrity_check", (), |row| row.get::<_, String>(0));
    match connections.first().map(check).transpose()?.as_deref() {
        Some("ok") => Ok(()),
        found => Err(OpenError::Unreachable(format!("the copy is not sound: {}", found.unwrap_or_default()))),
    }
}
