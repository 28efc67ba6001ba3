//! `redflag backup`.

use std::{
    fs::{self, File},
    io,
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
        let copied = connect::copy(&self.database.database_url, &partial.path).await?;
        let url =
            copied.ok_or_else(|| anyhow!("PostgreSQL has its own means: use pg_dump or pg_basebackup"))?;
        let verified = verified::verify(&url).await?;
        let size = partial.finish(&self.file, self.force)?;
        self.tell(size, &verified)
    }

    fn tell(&self, size: u64, verified: &[Verified]) -> anyhow::Result<()> {
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

/// A copy that is not finished, which is deleted when this is dropped.
struct Partial {
    path: PathBuf,
    folder: PathBuf,
}

impl Partial {
    /// In the same folder, so that renaming it is one step.
    fn beside(file: &Path) -> anyhow::Result<Self> {
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        let folder = std::path::absolute(file)?.parent().map(Path::to_owned).unwrap_or_default();
        let mut partial = name.to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let path = folder.join(partial);
        if path.exists() {
            bail!("{} is there already", path.display());
        }
        Ok(Self { path, folder })
    }

    /// Makes sure that it is on disk, and gives it its name; tells its size.
    fn finish(&self, file: &Path, force: bool) -> anyhow::Result<u64> {
        let copy = File::open(&self.path)?;
        copy.sync_all()?;
        let named = if force { fs::rename(&self.path, file) } else { fs::hard_link(&self.path, file) };
        named.with_context(|| format!("can't make {}", file.display()))?;
        let size = copy.metadata()?.len();
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
