//! Opening a database to read it and change nothing: neither its file nor what stands beside it.
//!
//! Even a reading connection makes a log and its index beside a database that has none. Where neither is there nobody is at work
//! on the database, and SQLite can be told that it is immutable. Where one is, what is in the log must be read too.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    checkpoints::leave_log_at_close,
    codes::{Meaning, meaning},
    file::{BUSY_TIMEOUT, beside},
    opening::STATEMENTS,
};
use crate::store::{StoreError, schema::OpenError};

/// A database that nobody was at work on when it was opened.
pub struct Immutable {
    path: PathBuf,
    found: Stamp,
}

/// The properties of a file that change when somebody writes to it.
#[derive(PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
    has_log: bool,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let has_log = ["-wal", "-journal"].iter().any(|suffix| beside(path, suffix).exists());
        let (inode, size) = (found.ino(), found.size());
        Ok(Self { inode, size, seconds: found.mtime(), nanoseconds: found.mtime_nsec(), has_log })
    }
}

impl Immutable {
    /// Passes while nobody has begun to write to it. Asked after reading: what SQLite read then may be half old and half new.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn check(&self) -> Result<(), StoreError> {
        match Stamp::of(&self.path) {
            Ok(now) if now == self.found => Ok(()),
            Ok(_) => {
                Err(StoreError::Unavailable("the database was changed while it was read: try again".into()))
            }
            Err(error) => Err(StoreError::Unavailable(error.into())),
        }
    }
}

/// Opens reading connections to the database at `path`, and the watch over it where it is taken for immutable.
///
/// # Errors
/// When it can't be opened.
pub fn open(path: &Path, count: usize) -> Result<(Vec<Connection>, Option<Immutable>), OpenError> {
    let unusable = |error: io::Error| OpenError::Unreachable(format!("{}: {error}", path.display()));
    let path = path.canonicalize().map_err(unusable)?;
    let open_all =
        |more: &str| (0..count).map(|_| open_one(&path, more)).collect::<rusqlite::Result<Vec<_>>>();
    if ["-wal", "-shm", "-journal"].iter().any(|suffix| beside(&path, suffix).exists()) {
        match open_all("") {
            Err(error) if meaning(&error) == Meaning::Refused && is_log_empty(&path) => {}
            Err(error) if meaning(&error) == Meaning::Refused => return Err(with_advice(&path, &error)),
            opened => return Ok((opened?, None)),
        }
    }
    let found = Stamp::of(&path).map_err(unusable)?;
    Ok((open_all("&immutable=1")?, Some(Immutable { path, found })))
}

/// Opens one reading connection; `more` are further parameters of the URI.
pub fn open_one(path: &Path, more: &str) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(format!("file:{}?mode=ro{more}", encoded(path)), flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    leave_log_at_close(&conn)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // The files are opened only now.
    conn.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    Ok(conn)
}

/// A path within a URI, whatever bytes it has.
pub fn encoded(path: &Path) -> String {
    let encode = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    path.as_os_str().as_bytes().iter().map(encode).collect()
}

fn is_log_empty(path: &Path) -> bool {
    let is_empty = |suffix| fs::metadata(beside(path, suffix)).map_or(true, |found| found.len() == 0);
    is_empty("-wal") && is_empty("-journal")
}

/// The folder can't hold the index that reading a log takes, or a change is to be undone first, which nobody does who only reads.
fn with_advice(path: &Path, error: &rusqlite::Error) -> OpenError {
    let is_to_undo = fs::metadata(beside(path, "-journal")).is_ok_and(|found| found.len() > 0);
    let path = path.display();
    let advice = if is_to_undo {
        format!("{path}-journal undoes a change that was cut off: start the service once, which does that")
    } else {
        format!(
            "{path}-wal holds changes, and reading them takes a folder that can be written: copy both files to one"
        )
    };
    OpenError::Unreachable(format!("{error}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_stands_in_a_uri() {
        assert_eq!(encoded(Path::new("/a b/ü?#%&.db")), "/a%20b/%C3%BC%3F%23%25%26.db");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ü ?#%&mode=rwc.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let (connections, immutable) = open(&path, 1).unwrap();
        assert!(connections[0].execute_batch("CREATE TABLE u (x)").is_err());
        assert!(immutable.is_some_and(|immutable| immutable.check().is_ok()));
    }

    #[test]
    fn a_change_that_was_cut_off_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cut) = (folder.path().join("x.db"), folder.path().join("cut.db"));
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1); PRAGMA cache_size = 1").unwrap();
        // So much that SQLite writes to the file before the end, and first to the journal what was there.
        writer.execute_batch("BEGIN; INSERT INTO t SELECT randomblob(9000) FROM t").unwrap();
        writer.execute_batch("INSERT INTO t SELECT randomblob(9000) FROM t, t AS a, t AS b, t AS c").unwrap();
        for suffix in ["", "-journal"] {
            fs::copy(beside(&path, suffix), beside(&cut, suffix)).unwrap();
        }
        let told = open(&cut, 1).err().unwrap().to_string();
        assert!(told.contains("cut.db-journal undoes a change that was cut off"), "{told}");
    }

    #[test]
    fn a_database_that_changes_meanwhile_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (x)").unwrap();
        let (_, immutable) = open(&path, 1).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; INSERT INTO t VALUES (1)").unwrap();
        assert!(immutable.unwrap().check().is_err());
    }
}
