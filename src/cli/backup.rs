//! `redflag backup`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::json;

use super::{
    Database, output,
    verified::{self, Verified},
};
use crate::store::connect;

/// Write a verified copy of an SQLite database to a file, also while a server runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Backup {
    /// The file to make, which only its owner can read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there; it stays until the copy is verified
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  redflag backup backup.db
  redflag backup --force --json /backups/latest.db --database-url sqlite:/var/lib/redflag/redflag.db
  redflag audit verify --database-url sqlite:backup.db      the same proof later, which changes nothing

The copy is of one moment. Its pages and the history of every organization are verified, and it is on disk, before it
gets its name. On PostgreSQL use `pg_dump`, or `pg_basebackup`.";

impl Backup {
    /// Makes the copy beside its final place, verifies it, and gives it its name.
    pub async fn run(self) -> anyhow::Result<()> {
        if !self.force && fs::symlink_metadata(&self.file).is_ok() {
            bail!("{} is there already: --force replaces it", self.file.display());
        }
        let partial = Partial::beside(&self.file)?;
        let copied = connect::copy(self.database.url(), &partial.path).await?;
        let url =
            copied.ok_or_else(|| anyhow!("PostgreSQL has its own means: use pg_dump or pg_basebackup"))?;
        let verified = verified::verify(&url).await?;
        let size = partial.finish(&self.file, self.force)?;
        self.report(size, &verified)
    }

    fn report(&self, size: u64, verified: &[Verified]) -> anyhow::Result<()> {
        let file = self.file.display();
        if self.json {
            let organizations = verified::views(verified);
            return output::print_json(
                &json!({ "file": file.to_string(), "bytes": size, "organizations": organizations }),
            );
        }
        output::print(&output::printable(&format!("wrote {file}: {size} bytes, verified")))?;
        verified::print(verified)
    }
}

/// An unfinished copy, which is deleted on drop.
struct Partial {
    path: PathBuf,
    folder: PathBuf,
    /// Locked against other backups to the same file. The system releases the lock of a killed process.
    file: File,
}

impl Partial {
    /// Makes the copy in the folder of `file`, so that a rename is atomic.
    fn beside(file: &Path) -> anyhow::Result<Self> {
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        let folder = std::path::absolute(file)?.parent().map(Path::to_owned).unwrap_or_default();
        let mut partial = name.to_owned();
        partial.push(".partial");
        let path = folder.join(partial);
        let locked = make_locked(&path).with_context(|| format!("can't make {}", path.display()))?;
        let file = locked.ok_or_else(|| anyhow!("another backup is writing {}", path.display()))?;
        Ok(Self { path, folder, file })
    }

    /// Syncs the copy to disk and renames it to `file`. Returns its size.
    fn finish(&self, file: &Path, force: bool) -> anyhow::Result<u64> {
        self.file.sync_all()?;
        let named = if force { fs::rename(&self.path, file) } else { name_new(&self.path, file) };
        named.with_context(|| format!("can't make {}", file.display()))?;
        let size = self.file.metadata()?.len();
        self.remove();
        File::open(&self.folder)?.sync_all()?;
        Ok(size)
    }

    fn remove(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.path.display(), "can't delete an unfinished copy");
            }
            _ => {}
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Creates and locks an empty file, and replaces one that a killed backup has left. Returns `None` while another backup
/// holds the lock. The old file is deleted, not written to: it may be a hard link of a finished copy.
fn make_locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let (file, is_left) = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                left => (left?, true),
            },
            made => (made?, false),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // The former holder of the lock may have deleted the file after it was opened here.
        let is_there = is_at(&file, path)?;
        if is_there && !is_left {
            return Ok(Some(file));
        }
        if is_there {
            fs::remove_file(path)?;
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (open.dev(), open.ino())))
}

/// Renames a file without replacing another: by a hard link, or by reserving the name on file systems without hard links.
fn name_new(partial: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(partial, file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => take_name(partial, file),
        linked => linked,
    }
}

fn take_name(partial: &Path, file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(file)?;
    fs::rename(partial, file).inspect_err(|_| {
        // The error of the rename is the one to report.
        let _ = fs::remove_file(file);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_with_and_without_hard_links() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        for (name, how) in [("a", take_name as fn(&Path, &Path) -> io::Result<()>), ("b", name_new)] {
            let partial = folder.path().join(name);
            fs::write(&partial, name).unwrap();
            how(&partial, &file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), name);
            assert_eq!(how(&partial, &file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            fs::remove_file(&file).unwrap();
        }
        // A failed rename leaves no reserved name behind.
        take_name(&folder.path().join("missing"), &file).unwrap_err();
        assert!(!file.exists());
    }
}
