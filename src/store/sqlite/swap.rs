//! Putting a copy in the place of a database, which is kept aside.
//!
//! Whatever ends this halfway, the database is the old one or the new one, whole, and never the new one with the log of the old one:
//! first what the old log holds is moved into the old database, and the log is gone before the copy gets the name.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    codes::{Meaning, meaning},
    file::{BUSY_TIMEOUT, Identity, beside, cannot_use, link_or_copy, remove_if_there, sync_folder},
    lock::give_to_owner_of,
    read_only,
};
use crate::store::schema::OpenError;

/// The files that SQLite may have left beside a database and would take for a part of whatever stands there. The index of the log
/// can be made anew.
const LOGS: [&str; 2] = ["-wal", "-journal"];
const INDEX: &str = "-shm";

/// The database, and the copy that takes its place.
pub struct Swap {
    /// The database, whose path leads over no symbolic links.
    pub target: PathBuf,
    /// The copy beside it.
    pub copy: PathBuf,
}

/// A step; it is told under which name the database is kept.
pub type Step = fn(&Swap, &Path) -> Result<(), OpenError>;

/// The steps of a replacement, each of which leaves one whole database.
pub const STEPS: [Step; 6] =
    [Swap::sync_copy, Swap::settle, Swap::keep_logs, Swap::keep, Swap::drop_logs, Swap::put];

impl Swap {
    /// The database at `target` and a copy that is to be made.
    pub fn of(target: PathBuf) -> Self {
        Self { copy: beside(&target, ".restoring"), target }
    }

    /// Deletes what a restoration has left that was ended halfway: its copy, and the second name of the database.
    ///
    /// # Errors
    /// When something can't be deleted.
    pub fn clear(&self) -> io::Result<()> {
        self.remove_copy()?;
        let (Some(folder), Some(name)) = (self.target.parent(), self.target.file_name()) else {
            return Ok(());
        };
        let Ok(identity) = Identity::of(&self.target) else { return Ok(()) };
        let prefix = format!("{}.before-restore-", name.to_string_lossy());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let is_kept = entry.file_name().to_string_lossy().starts_with(&prefix);
            let is_alone = LOGS.iter().all(|suffix| !beside(&path, suffix).exists());
            if is_kept && is_alone && Identity::from(&entry.metadata()?) == identity {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Deletes the copy, unless it has become the database.
    ///
    /// # Errors
    /// When it can't be deleted.
    pub fn remove_copy(&self) -> io::Result<()> {
        LOGS.iter().chain(&["", INDEX]).try_for_each(|suffix| remove_if_there(&beside(&self.copy, suffix)))
    }

    /// The copy is on disk, all of it in its own file, and the owner of the database can open it.
    fn sync_copy(&self, _: &Path) -> Result<(), OpenError> {
        let synced = || {
            if LOGS.iter().any(|suffix| beside(&self.copy, suffix).exists()) {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody has opened it"));
            }
            let copy = File::open(&self.copy)?;
            give_to_owner_of(&self.target, &copy).map_err(|error| {
                let told = format!(
                    "can't be given to the owner of the database, who must run this, or root: {error}"
                );
                io::Error::new(error.kind(), told)
            })?;
            copy.sync_all()
        };
        synced().map_err(|error| cannot_use(&self.copy, &error))
    }

    /// The old database is whole without its log, which is gone. One that is damaged is left as it is, log and all: that may be the log
    /// of another database, which lacks it.
    fn settle(&self, _: &Path) -> Result<(), OpenError> {
        if self.is_damaged() {
            return Ok(());
        }
        match empty_log(&self.target) {
            Ok(true) => Ok(()),
            Err(error) if meaning(&error) != Meaning::Passing => {
                Err(OpenError::Unreachable(format!("{}: {error}", self.target.display())))
            }
            _ => Err(OpenError::InUse { file: self.target.display().to_string(), process: None }),
        }
    }

    /// Returns true for a database that is not there, or not sound together with its log; changes neither.
    fn is_damaged(&self) -> bool {
        if fs::metadata(&self.target).map_or(0, |found| found.len()) == 0 {
            return true;
        }
        let checked = read_only::open_one(&self.target, "")
            .and_then(|conn| conn.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0)));
        match checked {
            Ok(found) => found != "ok",
            // Other errors are told by whoever opens it next.
            Err(error) => meaning(&error) == Meaning::Damaged,
        }
    }

    /// Keeps what could not be moved into the old database beside it.
    fn keep_logs(&self, kept: &Path) -> Result<(), OpenError> {
        LOGS.iter().try_for_each(|suffix| keep(&beside(&self.target, suffix), &beside(kept, suffix)))
    }

    fn keep(&self, kept: &Path) -> Result<(), OpenError> {
        keep(&self.target, kept)?;
        self.sync_folder()
    }

    fn drop_logs(&self, _: &Path) -> Result<(), OpenError> {
        for suffix in LOGS.iter().chain(&[INDEX]) {
            let path = beside(&self.target, suffix);
            remove_if_there(&path).map_err(|error| cannot_use(&path, &error))?;
        }
        self.sync_folder()
    }

    fn put(&self, _: &Path) -> Result<(), OpenError> {
        fs::rename(&self.copy, &self.target).map_err(|error| cannot_use(&self.target, &error))?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> Result<(), OpenError> {
        let folder = self.target.parent().unwrap_or(&self.target);
        sync_folder(folder).map_err(|error| cannot_use(folder, &error))
    }
}

/// Moves all that the log holds into the database and deletes the log, without any other change. Succeeds only where no other connection
/// is open, which it tells.
fn empty_log(database: &Path) -> rusqlite::Result<bool> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    conn.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    let is_busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(!is_busy)
}

fn keep(file: &Path, kept: &Path) -> Result<(), OpenError> {
    if !file.exists() {
        return Ok(());
    }
    link_or_copy(file, kept).map_err(|error| cannot_use(kept, &error))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A database of one old row, part of which is only in its log, and a copy of two new rows.
    fn half_way(steps: usize) -> (TempDir, Swap) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.db");
        let swap = Swap::of(target);
        let old = Connection::open(&swap.target).unwrap();
        old.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (x); CREATE TABLE filler (x UNIQUE); \
             WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 100) \
             INSERT INTO filler SELECT randomblob(1000) FROM n; \
             PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES ('old')",
        )
        .unwrap();
        super::super::checkpoints::leave_log_at_close(&old).unwrap();
        drop(old);
        assert!(beside(&swap.target, "-wal").exists());
        let new = Connection::open(&swap.copy).unwrap();
        new.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES ('new'), ('new')").unwrap();
        drop(new);
        run(&swap, &STEPS[..steps]);
        (folder, swap)
    }

    fn run(swap: &Swap, steps: &[Step]) {
        for step in steps {
            step(swap, &beside(&swap.target, ".before-restore-1")).unwrap();
        }
    }

    fn rows(path: &Path) -> Vec<String> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let sound: String = conn.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let mut statement = conn.prepare("SELECT x FROM t").unwrap();
        let rows = statement.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_restoration_that_ends_anywhere_leaves_one_whole_database() {
        for steps in 0..=STEPS.len() {
            let (_folder, swap) = half_way(steps);
            let is_done = steps == STEPS.len();
            let expected = if is_done { vec!["new", "new"] } else { vec!["old"] };
            assert_eq!(rows(&swap.target), expected, "after {steps} steps");
            let kept = beside(&swap.target, ".before-restore-1");
            if is_done {
                assert_eq!(rows(&kept), ["old"]);
            }
            // The next one begins with nothing left of it, but for what was kept of a whole one.
            swap.clear().unwrap();
            assert_eq!((swap.copy.exists(), kept.exists()), (false, is_done), "after {steps} steps");
        }
    }

    #[test]
    fn a_damaged_database_is_kept_with_its_log() {
        let (_folder, swap) = half_way(0);
        fs::write(&swap.target, "no database at all ".repeat(20_000)).unwrap();
        let log = fs::read(beside(&swap.target, "-wal")).unwrap();
        let kept = beside(&swap.target, ".before-restore-1");
        run(&swap, &STEPS);
        assert_eq!(rows(&swap.target), ["new", "new"]);
        assert!(fs::read(&kept).unwrap().starts_with(b"no database at all"));
        assert_eq!(fs::read(beside(&kept, "-wal")).unwrap(), log);
    }

    #[test]
    fn a_database_that_somebody_has_open_is_not_replaced() {
        let (_folder, swap) = half_way(0);
        let reader = Connection::open(&swap.target).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        let refused = swap.settle(Path::new("unused"));
        assert!(matches!(refused, Err(OpenError::InUse { .. })), "{refused:?}");
    }

    #[test]
    fn a_database_that_is_gone_can_be_restored() {
        let (_folder, swap) = half_way(0);
        fs::remove_file(&swap.target).unwrap();
        let kept = beside(&swap.target, ".before-restore-1");
        run(&swap, &STEPS);
        assert_eq!(rows(&swap.target), ["new", "new"]);
        assert!(!kept.exists() && beside(&kept, "-wal").exists());
    }
}
