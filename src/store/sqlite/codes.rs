//! The meaning of each of SQLite's result codes for a caller, in one table.

use std::ffi::c_int;

use rusqlite::{Error, ffi};

/// The meaning of a result code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Somebody is in the way, or memory is short: the same may succeed a moment later.
    Passing,
    /// The file, its folder or the disk does not let it: nothing can be written until that is mended.
    Refused,
    /// The file is no database, or a damaged one.
    Damaged,
    /// A constraint, or a mistake of ours.
    Unexpected,
}

/// Primary codes stand for their extended codes too, but for those that stand here themselves.
const MEANINGS: &[(c_int, Meaning)] = &[
    (ffi::SQLITE_ERROR, Meaning::Unexpected),
    (ffi::SQLITE_INTERNAL, Meaning::Unexpected),
    (ffi::SQLITE_PERM, Meaning::Refused),
    (ffi::SQLITE_ABORT, Meaning::Unexpected),
    (ffi::SQLITE_BUSY, Meaning::Passing),
    (ffi::SQLITE_LOCKED, Meaning::Passing),
    (ffi::SQLITE_NOMEM, Meaning::Passing),
    (ffi::SQLITE_READONLY, Meaning::Refused),
    // Only where the caller has gone away.
    (ffi::SQLITE_INTERRUPT, Meaning::Unexpected),
    (ffi::SQLITE_IOERR, Meaning::Refused),
    (ffi::SQLITE_IOERR_NOMEM, Meaning::Passing),
    (ffi::SQLITE_IOERR_CORRUPTFS, Meaning::Damaged),
    (ffi::SQLITE_CORRUPT, Meaning::Damaged),
    (ffi::SQLITE_NOTFOUND, Meaning::Unexpected),
    (ffi::SQLITE_FULL, Meaning::Refused),
    (ffi::SQLITE_CANTOPEN, Meaning::Refused),
    // A race for locks that was lost many times.
    (ffi::SQLITE_PROTOCOL, Meaning::Passing),
    (ffi::SQLITE_EMPTY, Meaning::Unexpected),
    // The schema changed again with each try.
    (ffi::SQLITE_SCHEMA, Meaning::Passing),
    (ffi::SQLITE_TOOBIG, Meaning::Unexpected),
    (ffi::SQLITE_CONSTRAINT, Meaning::Unexpected),
    // The commit was refused, because the file is no longer in its place.
    (ffi::SQLITE_CONSTRAINT_COMMITHOOK, Meaning::Passing),
    (ffi::SQLITE_MISMATCH, Meaning::Unexpected),
    (ffi::SQLITE_MISUSE, Meaning::Unexpected),
    // The file system knows no files of that size.
    (ffi::SQLITE_NOLFS, Meaning::Refused),
    (ffi::SQLITE_AUTH, Meaning::Unexpected),
    (ffi::SQLITE_FORMAT, Meaning::Damaged),
    (ffi::SQLITE_RANGE, Meaning::Unexpected),
    (ffi::SQLITE_NOTADB, Meaning::Damaged),
];

/// Returns the meaning of an extended code.
fn meaning_of_code(extended: c_int) -> Meaning {
    let find = |code| MEANINGS.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning);
    // The lower byte is the primary code.
    find(extended).or_else(|| find(extended & 0xff)).unwrap_or(Meaning::Unexpected)
}

/// Returns the meaning of an error.
pub fn meaning(error: &Error) -> Meaning {
    error.sqlite_error().map_or(Meaning::Unexpected, |error| meaning_of_code(error.extended_code))
}

/// Returns true for an error that says, itself or by its cause, that nothing can be written: also where somebody has held the
/// lock for longer than is waited for it.
pub fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let is_busy = |error: &Error| error.sqlite_error_code() == Some(ffi::ErrorCode::DatabaseBusy);
    causes
        .filter_map(|cause| cause.downcast_ref())
        .any(|error| meaning(error) == Meaning::Refused || is_busy(error))
}

/// A file that is no database, or a damaged one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database is damaged, perhaps by a write-ahead log (-wal) that was left beside a file put in the place of another; \
     `redflag restore` puts back a backup: {0}"
)]
pub struct Damaged(#[source] pub Error);

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// The table once more, as numbers: a change of either must be meant.
    const EXPECTED: &[(c_int, Meaning)] = &[
        (1, Meaning::Unexpected),
        (2, Meaning::Unexpected),
        (3, Meaning::Refused),
        (4, Meaning::Unexpected),
        (5, Meaning::Passing),
        (6, Meaning::Passing),
        (7, Meaning::Passing),
        (8, Meaning::Refused),
        (9, Meaning::Unexpected),
        (10, Meaning::Refused),
        (11, Meaning::Damaged),
        (12, Meaning::Unexpected),
        (13, Meaning::Refused),
        (14, Meaning::Refused),
        (15, Meaning::Passing),
        (16, Meaning::Unexpected),
        (17, Meaning::Passing),
        (18, Meaning::Unexpected),
        (19, Meaning::Unexpected),
        (20, Meaning::Unexpected),
        (21, Meaning::Unexpected),
        (22, Meaning::Refused),
        (23, Meaning::Unexpected),
        (24, Meaning::Damaged),
        (25, Meaning::Unexpected),
        (26, Meaning::Damaged),
        // Extended ones: BUSY_SNAPSHOT, LOCKED_SHAREDCACHE, READONLY_DBMOVED, IOERR_WRITE, IOERR_FSYNC, IOERR_NOMEM, IOERR_CORRUPTFS,
        // CORRUPT_INDEX, CANTOPEN_ISDIR, CONSTRAINT_FOREIGNKEY, CONSTRAINT_COMMITHOOK.
        (517, Meaning::Passing),
        (262, Meaning::Passing),
        (1032, Meaning::Refused),
        (778, Meaning::Refused),
        (1034, Meaning::Refused),
        (3082, Meaning::Passing),
        (8458, Meaning::Damaged),
        (779, Meaning::Damaged),
        (526, Meaning::Refused),
        (787, Meaning::Unexpected),
        (531, Meaning::Passing),
        // Unknown to this version.
        (200, Meaning::Unexpected),
    ];

    #[test]
    fn each_code_has_its_meaning() {
        for (code, meaning) in EXPECTED {
            assert_eq!(meaning_of_code(*code), *meaning, "{code}");
        }
    }

    #[test]
    fn each_row_of_the_table_is_expected_once() {
        for (code, _) in MEANINGS {
            assert_eq!(MEANINGS.iter().filter(|(other, _)| other == code).count(), 1, "{code}");
            assert!(EXPECTED.iter().any(|(expected, _)| expected == code), "{code}");
        }
    }

    /// SQLite's own answers, where they can be provoked.
    #[test]
    fn provoked_errors_have_their_meaning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let conn = Connection::open(&file).unwrap();
        conn.execute_batch("PRAGMA max_page_count = 3; CREATE TABLE t (x)").unwrap();
        let full = conn.execute("INSERT INTO t VALUES (zeroblob(100000))", ()).unwrap_err();
        conn.execute_batch("PRAGMA query_only = true").unwrap();
        let read_only = conn.execute("INSERT INTO t VALUES (1)", ()).unwrap_err();
        drop(conn);
        let cannot_open = Connection::open(folder.path()).unwrap_err();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[4096..].fill(0xee);
        std::fs::write(&file, &bytes).unwrap();
        let count = |file| Connection::open(file).unwrap().query_row("SELECT * FROM t", (), |_| Ok(()));
        let corrupt = count(&file).unwrap_err();
        bytes[..16].fill(b'x');
        std::fs::write(&file, &bytes).unwrap();
        let no_database = count(&file).unwrap_err();
        for (error, code, meant) in [
            (full, 13, Meaning::Refused),
            (read_only, 8, Meaning::Refused),
            (cannot_open, 14, Meaning::Refused),
            (corrupt, 11, Meaning::Damaged),
            (no_database, 26, Meaning::Damaged),
        ] {
            assert_eq!(error.sqlite_error().map(|error| error.extended_code & 0xff), Some(code), "{error}");
            assert_eq!(meaning(&error), meant, "{error}");
        }
    }
}
