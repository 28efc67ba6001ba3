//! The files of an open database: whether those at its paths are still the ones that were opened.
//!
//! SQLite goes on with what it has opened, wherever that is moved. So changes would be acknowledged into a file that is deleted,
//! or that a restored backup has replaced, and the write-ahead log left at the path would be taken for the log of that backup.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::store::{StoreError, schema::OpenError};

/// How long a write waits for another process that writes to the same file.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Only for their owner: the database holds the digests of keys, and everything about everybody.
pub const PRIVATE: u32 = 0o600;

/// The part of a mode that is for everybody.
const OTHERS: u32 = 0o007;

/// Names the file that an error is about.
pub fn cannot_use(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unreachable(format!("{}: {error}", path.display()))
}

/// Makes an empty file that only its owner can read, unless there is a file; SQLite gives the files beside it the same mode.
/// A file that is there is not opened: closing it would take SQLite's locks from other connections of this process.
///
/// # Errors
/// When it can't be made.
pub fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The path of a file that SQLite keeps beside the database.
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Takes the files of a database from all who are neither its owner nor of its group: older versions made them readable for everybody.
/// The group stays, which somebody has chosen.
pub fn close_to_others(database: &Path) {
    for path in ["", "-wal", "-shm"].map(|suffix| beside(database, suffix)) {
        let Ok(mode) = fs::metadata(&path).map(|found| found.mode()) else { continue };
        if mode & OTHERS == 0 {
            continue;
        }
        let (shown, closed) = (path.display(), fs::Permissions::from_mode(mode & !OTHERS));
        match fs::set_permissions(&path, closed) {
            Ok(()) => tracing::warn!("{shown} was open to every user of this machine: it no longer is"),
            Err(error) => {
                tracing::warn!(%error, "{shown} is open to every user of this machine: chmod 600 it");
            }
        }
    }
}

/// Gives the file at `from` the name `to` too, which must be free; where the file system knows no second names, a copy gets it.
///
/// # Errors
/// When there is no such file, the name is taken, or the copy can't be written.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            copy_to_new(from, to)
        }
        linked => linked,
    }
}

fn copy_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(to)?;
    let copied = File::open(from).and_then(|mut from| io::copy(&mut from, &mut copy));
    let copied = copied.and_then(|_| copy.sync_all());
    if copied.is_err() {
        // The error that matters is the other one.
        let _ = fs::remove_file(to);
    }
    copied
}

/// Deletes a file if it is there.
///
/// # Errors
/// When it is there still.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes sure that what a folder names is on disk.
///
/// # Errors
/// When it can't be.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// How old, in milliseconds, what is known may be where a look each time would take longer than the reading it is for.
const FRESH_MILLIS: u64 = 10;

/// Which file it is, whatever it is called: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Which file stands at the path.
    ///
    /// # Errors
    /// When none does, or it can't be asked.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::from(&found))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(found: &fs::Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// The files of a database that is open.
pub struct DatabaseFile {
    /// The path of the database, of its log and of the log's index, and what was opened there.
    opened: [(PathBuf, Identity); 3],
    /// The path of the database without symbolic links.
    real: PathBuf,
    /// Set for good: what was written to the file meanwhile, nobody knows.
    is_lost: AtomicBool,
    since: Instant,
    /// When the files were looked at last, in milliseconds since then.
    looked_at: AtomicU64,
}

impl DatabaseFile {
    /// The files of the database at `path`, once its log is open. `identity` was taken before it was opened, so that a file
    /// that takes its place meanwhile is noticed.
    ///
    /// # Errors
    /// When the log or its index is not there.
    pub fn opened(path: &Path, identity: Identity) -> io::Result<Self> {
        // SQLite keeps the other files beside the file that a symbolic link leads to.
        let real = path.canonicalize()?;
        let (log, index) = (beside(&real, "-wal"), beside(&real, "-shm"));
        let (log_identity, index_identity) = (Identity::of(&log)?, Identity::of(&index)?);
        let path = std::path::absolute(path)?;
        let opened = [(path, identity), (log, log_identity), (index, index_identity)];
        let (is_lost, looked_at) = (AtomicBool::new(false), AtomicU64::new(0));
        Ok(Self { opened, real, is_lost, since: Instant::now(), looked_at })
    }

    /// The path of the database without symbolic links, beside which SQLite keeps the other files.
    pub fn real_path(&self) -> &Path {
        &self.real
    }

    /// The path of the database.
    fn path(&self) -> &Path {
        let [(path, _), ..] = &self.opened;
        path
    }

    /// Passes while the files were in place a moment ago. Once one is not, this never passes again: the database must be opened anew.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn check(&self) -> Result<(), StoreError> {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_due = now.saturating_sub(self.looked_at.load(Ordering::Relaxed)) >= FRESH_MILLIS;
        if is_due {
            self.looked_at.store(now, Ordering::Relaxed);
        }
        let is_lost = if is_due { self.is_lost() } else { self.is_lost.load(Ordering::Relaxed) };
        self.passes_unless(is_lost)
    }

    /// Passes while the files are in place now. Asked after a commit, which may have gone to a file that was moved meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn check_now(&self) -> Result<(), StoreError> {
        self.passes_unless(self.is_lost())
    }

    fn passes_unless(&self, is_lost: bool) -> Result<(), StoreError> {
        if is_lost { Err(StoreError::Unavailable(self.lost().into())) } else { Ok(()) }
    }

    /// Returns true once a file was removed, moved or replaced; looks, unless it is known.
    pub fn is_lost(&self) -> bool {
        if self.is_lost.load(Ordering::Relaxed) {
            return true;
        }
        let is_moved = self.opened.iter().any(|(path, opened)| is_elsewhere(path, *opened));
        if is_moved && !self.is_lost.swap(true, Ordering::Relaxed) {
            tracing::error!("{}", self.lost());
        }
        is_moved
    }

    fn lost(&self) -> String {
        format!(
            "the file {}, its -wal or its -shm was removed, moved or replaced: nothing is read or written until a restart",
            self.path().display()
        )
    }

    /// Moves what the log holds into the database that was opened, wherever that is now, and empties the log, which would be taken
    /// for that of a file put in the place of the database. Not where another log or index stands there: then somebody else may be
    /// at work on the database. Tells whether it is done.
    pub fn empty_log(&self, conn: &Connection) -> bool {
        let [_, beside @ ..] = &self.opened;
        let is_replaced =
            |(path, opened): &(PathBuf, Identity)| Identity::of(path).is_ok_and(|found| found != *opened);
        if beside.iter().any(is_replaced) {
            return true;
        }
        let emptied = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, bool>(0));
        emptied
            .inspect_err(|error| tracing::error!(%error, "can't empty the write-ahead log"))
            .is_ok_and(|is_busy| !is_busy)
    }
}

/// Returns true where the file that was opened is certainly somewhere else. A path that can't be asked, as when there are too many open files,
/// tells nothing.
fn is_elsewhere(path: &Path, opened: Identity) -> bool {
    match Identity::of(path) {
        Ok(found) => found != opened,
        Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_is_noticed_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        for suffix in ["", "-wal", "-shm"] {
            fs::write(beside(&path, suffix), "").unwrap();
        }
        let file = DatabaseFile::opened(&path, Identity::of(&path).unwrap()).unwrap();
        assert!(!file.is_lost() && file.check().is_ok());
        let aside = folder.path().join("aside");
        fs::rename(beside(&path, "-wal"), &aside).unwrap();
        assert!(file.is_lost());
        fs::rename(&aside, beside(&path, "-wal")).unwrap();
        assert!(matches!(file.check(), Err(StoreError::Unavailable(_))));
    }

    #[test]
    fn a_copy_does_where_there_are_no_second_names() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("x"), folder.path().join("y"));
        fs::write(&from, "whole").unwrap();
        copy_to_new(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"whole");
        for again in [copy_to_new, link_or_copy] {
            assert_eq!(again(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(link_or_copy(&to, &folder.path().join("z")).unwrap(), ());
    }

    #[test]
    fn a_private_file_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        make_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, PRIVATE);
        fs::write(&path, "kept").unwrap();
        make_private(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
        assert!(make_private(&folder.path().join("no/where.db")).is_err());
    }
}
