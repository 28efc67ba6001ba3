//! Locks of a database file. A server has it alone: two would wait for each other, and one would write beside what the
//! other knows. Commands that write a little work beside it, but not while another file is put in the place of the database.
//!
//! The locks are on other files than the database: closing a second descriptor of that would take SQLite's own locks from this
//! process. They end with the process, however it ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::file::{BUSY_TIMEOUT, Identity, PRIVATE, beside, cannot_use};
use crate::store::{options::Sharing, schema::OpenError};

/// How often a lock is tried that somebody else holds for a moment.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A lock on a database file, until this is dropped.
#[expect(dead_code, reason = "they are held, not read")]
pub enum DatabaseLock {
    /// No other server has it.
    Server(LockFile),
    /// Nothing takes its place; `None` where the folder can't be locked.
    Command(Option<File>),
}

impl DatabaseLock {
    /// Takes the lock that `sharing` needs. Blocks for some seconds at most.
    ///
    /// # Errors
    /// [`OpenError::InUse`]; [`OpenError::Unreachable`] where the folder takes no locks.
    pub fn take(database: &Path, sharing: Sharing) -> Result<Self, OpenError> {
        let real = database.canonicalize().map_err(|error| cannot_use(database, &error))?;
        check_has_one_name(&real).map_err(|error| cannot_use(database, &error))?;
        match sharing {
            Sharing::Alone => LockFile::of_server(&real).map(Self::Server),
            Sharing::Beside => lock_folder(&real).map(Self::Command),
        }
    }
}

/// A file that one process at a time has locked. It is deleted at the end; one that a killed process has left is locked anew.
pub struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// The lock of the one server of the database at the real path `database`.
    ///
    /// # Errors
    /// [`OpenError::InUse`]; [`OpenError::Unreachable`] where the file can't be made or locked.
    pub fn of_server(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, ".lock");
        let taken = Self::take(path.clone()).map_err(|error| cannot_use(&path, &error))?;
        let Some(mut lock) = taken else {
            let process = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            return Err(OpenError::InUse { file: database.display().to_string(), process });
        };
        lock.introduce(database).map_err(|error| cannot_use(&path, &error))?;
        Ok(lock)
    }

    /// Locks the file at `path`, which is made where it is missing; `None` where somebody else has locked it.
    ///
    /// # Errors
    /// When it can't be made or locked.
    pub fn take(path: PathBuf) -> io::Result<Option<Self>> {
        loop {
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "no plain file, so no lock"));
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
            let file = options.open(&path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => {}
            }
            // Whoever had it may have deleted it since it was opened here.
            if is_at(&file, &path) {
                return Ok(Some(Self { path, file }));
            }
        }
    }

    /// Writes into the file which process has it, and gives it to the owner of the database, who may not be who runs this.
    fn introduce(&mut self, database: &Path) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{}", std::process::id())?;
        // Only root can. Where it fails, the file does harm only if it is left, and is then told of by its name.
        let _ = give_to_owner_of(database, &self.file);
        Ok(())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // While it is still locked, so that nobody else has the file that is deleted.
        if is_at(&self.file, &self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "a lock file stays, which does no harm");
        }
    }
}

/// Refuses a file that stands under several names: under each, SQLite would keep another write-ahead log, and servers would not
/// see each other.
fn check_has_one_name(real: &Path) -> io::Result<()> {
    let links = fs::metadata(real)?.nlink();
    if links > 1 {
        let several = format!("the file has {links} names (hard links): a database has one");
        return Err(io::Error::other(several));
    }
    // Without such a list it can't be known.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if mounts.lines().filter_map(mount_point).any(|point| Path::new(&point) == real) {
        return Err(io::Error::other(
            "the file is mounted by itself: mount its folder, where its log stands too",
        ));
    }
    Ok(())
}

/// The mount point that a line of `/proc/self/mountinfo` names, whose white space is written in octal.
fn mount_point(line: &str) -> Option<String> {
    let written = line.split(' ').nth(4)?;
    let spaces = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    Some(spaces.iter().fold(written.to_owned(), |path, (code, space)| path.replace(code, space)))
}

/// Returns true where the file at `path` is the one that is open.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(found)) = (file.metadata(), Identity::of(path)) else { return false };
    found == Identity::from(&open)
}

/// Gives an open file to the owner of the one at `path`, where there is one.
///
/// # Errors
/// When that is somebody else, and who runs this is not root.
pub fn give_to_owner_of(path: &Path, file: &File) -> io::Result<()> {
    let Ok(theirs) = fs::metadata(path) else { return Ok(()) };
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) == (theirs.uid(), theirs.gid()) {
        return Ok(());
    }
    fchown(file, Some(theirs.uid()), Some(theirs.gid()))
}

/// Locks the folder against all commands, so that another file can take the place of the database at the real path `database`.
///
/// # Errors
/// [`OpenError::InUse`] while a command is at work for long; [`OpenError::Unreachable`] where the folder can't be locked.
pub fn lock_out_commands(database: &Path) -> Result<File, OpenError> {
    let unusable = |error: io::Error| cannot_use(database.parent().unwrap_or(database), &error);
    let folder = open_folder(database).map_err(unusable)?;
    if wait_for(|| folder.try_lock()).map_err(unusable)? {
        return Ok(folder);
    }
    Err(OpenError::InUse { file: database.display().to_string(), process: None })
}

/// Locks the folder together with other commands. A folder that takes no locks is used without: nothing can take the place of the
/// database there either, since that needs the lock.
fn lock_folder(database: &Path) -> Result<Option<File>, OpenError> {
    let Ok(folder) = open_folder(database) else { return Ok(None) };
    match wait_for(|| folder.try_lock_shared()) {
        Ok(true) => Ok(Some(folder)),
        Ok(false) => {
            let locked = io::Error::other("somebody has locked the folder, as `redflag restore` does");
            Err(cannot_use(database.parent().unwrap_or(database), &locked))
        }
        Err(_) => Ok(None),
    }
}

fn open_folder(database: &Path) -> io::Result<File> {
    File::open(database.parent().unwrap_or(Path::new("/")))
}

/// Tries for some seconds; tells whether it is locked.
fn wait_for(lock: impl Fn() -> Result<(), TryLockError>) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        match lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > BUSY_TIMEOUT => return Ok(false),
            Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_lock_and_its_file_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let first = LockFile::take(path.clone()).unwrap().unwrap();
        assert!(LockFile::take(path.clone()).unwrap().is_none());
        drop(first);
        assert!(!path.exists());
        // The file of a killed process is no lock.
        fs::write(&path, "1\n").unwrap();
        let second = LockFile::take(path.clone()).unwrap().unwrap();
        // Nor is a file of somebody else deleted.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(second);
        assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
    }

    #[test]
    fn a_database_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("x.db"), folder.path().join("y.db"));
        fs::write(&path, "").unwrap();
        assert!(DatabaseLock::take(&path, Sharing::Alone).is_ok());
        fs::hard_link(&path, &other).unwrap();
        for sharing in [Sharing::Alone, Sharing::Beside] {
            let refused = DatabaseLock::take(&other, sharing).err().unwrap().to_string();
            assert!(refused.contains("y.db: the file has 2 names (hard links)"), "{refused}");
        }
    }

    #[test]
    fn mount_points_are_read_as_they_are_written() {
        let line = r"29 25 0:26 / /data/a\040b\134c rw,nosuid shared:4 - ext4 /dev/vda rw";
        assert_eq!(mount_point(line).unwrap(), r"/data/a b\c");
        assert_eq!(mount_point(""), None);
    }

    #[test]
    fn threads_that_take_and_leave_a_lock_never_have_it_together() {
        let folder = tempfile::tempdir().unwrap();
        let (path, held) = (folder.path().join("x.lock"), std::sync::Mutex::new(()));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut taken = 0;
                    while taken < 200 {
                        if let Some(_lock) = LockFile::take(path.clone()).unwrap() {
                            let alone = held.try_lock().expect("another thread has the lock");
                            taken += 1;
                            drop(alone);
                        }
                    }
                });
            }
        });
    }
}
