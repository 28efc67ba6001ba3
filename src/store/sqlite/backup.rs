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
    let (connections, _) = read_only::open(target, 1)?;
    connections.first().map_or(Ok(()), check_pages)
}

/// Passes for a database whose pages are sound.
///
/// # Errors
/// When they are not, or can't be read.
pub fn check_pages(conn: &Connection) -> Result<(), OpenError> {
    let found: String = conn.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(OpenError::Unreachable(format!("it is not sound: {found}"))) }
}
