//! `redflag backup`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{Database, output};
use crate::{
    app,
    domain::{Head, Organization},
    service::audit::Unverified,
    store::connect,
};

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

/// An organization whose history was verified in the copy.
struct Verified {
    organization: Organization,
    head: Head,
}

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
        let verified = verify(&url).await?;
        let size = partial.finish(&self.file, self.force)?;
        self.tell(size, &verified)
    }

    fn tell(&self, size: u64, verified: &[Verified]) -> anyhow::Result<()> {
        if self.json {
            let organizations: Vec<_> = verified.iter().map(view).collect();
            let file = self.file.display().to_string();
            return output::print_json(
                &json!({ "file": file, "bytes": size, "organizations": organizations }),
            );
        }
        let told = format!("wrote {}: {size} bytes, verified", self.file.display());
        output::print(&output::printable(&told))?;
        let rows: Vec<_> = verified.iter().map(row).collect();
        output::print_table(["ORGANIZATION_ID", "NAME", "POSITION", "HASH"], &rows)
    }
}

fn row(Verified { organization, head }: &Verified) -> [String; 4] {
    [
        organization.id.to_string(),
        organization.name.to_string(),
        head.position.to_string(),
        head.hash.to_string(),
    ]
}

fn view(Verified { organization, head }: &Verified) -> Value {
    json!({
        "organization_id": organization.id.to_string(),
        "name": organization.name.as_str(),
        "position": head.position,
        "hash": head.hash.to_string(),
    })
}

/// Verifies the history of every organization in the copy at `url`.
async fn verify(url: &str) -> anyhow::Result<Vec<Verified>> {
    let service = app::open_service_reading(url).await?;
    let mut all = Vec::new();
    for organization in service.organizations().await? {
        let head = match service.verify(organization.id, 1, &mut |_, _| {}).await {
            Ok(verified) => verified.head,
            Err(Unverified::Broken(broken)) => bail!("the organization {}: {broken}", organization.name),
            Err(Unverified::Failed(error)) => return Err(error.into()),
        };
        all.push(Verified { organization, head });
    }
    Ok(all)
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
