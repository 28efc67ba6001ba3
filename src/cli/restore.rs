//! `redflag restore`.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;

use super::{
    Database, output,
    verified::{self, Verified},
};
use crate::{
    app,
    domain::{Clock, SystemClock},
    store::{connect, schema::OnOlderSchema, sqlite::Restored},
};

/// Put a verified copy of a backup in the place of an SQLite database, while no server runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// The file that `redflag backup` has made, which stays as it is
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  redflag restore backup.db
  redflag restore --json /backups/latest.db --database-url sqlite:/var/lib/redflag/redflag.db

The file's pages and the history of every organization are verified first, and an older schema is brought up to date. The
database that was there is kept beside the new one, as NAME.before-restore-TIME. Whatever ends this halfway, the database
is the old one or the new one, whole. On PostgreSQL use `pg_restore`, or put back what `pg_basebackup` has made.";

impl Restore {
    /// Copies the file beside the database, verifies the copy, and gives it the database's name.
    pub async fn run(self) -> anyhow::Result<()> {
        let restore = connect::begin_restore(self.database.url(), &self.file)?;
        let restore = restore.ok_or_else(|| {
            anyhow!("PostgreSQL has its own means: stop every redflag, and use pg_restore or what pg_basebackup has made")
        })?;
        let unfit = || format!("{} was not restored", self.file.display());
        let copy = restore.copy().with_context(unfit)?;
        bring_up_to_date(&copy).await.with_context(unfit)?;
        let verified = verified::verify(&copy).await.with_context(unfit)?;
        let restored = restore.finish(&SystemClock.now().format("%Y%m%dT%H%M%SZ").to_string())?;
        self.report(&restored, &verified)
    }

    fn report(&self, restored: &Restored, verified: &[Verified]) -> anyhow::Result<()> {
        let (file, size) = (restored.file.display(), restored.size);
        let kept = restored.kept.as_ref().map(|kept| kept.display().to_string());
        if self.json {
            let organizations = verified::views(verified);
            return output::print_json(&json!({
                "file": file.to_string(), "bytes": size, "kept": kept, "organizations": organizations,
            }));
        }
        output::print(&output::printable(&format!("restored {file}: {size} bytes, verified")))?;
        if let Some(kept) = kept {
            output::print(&output::printable(&format!("the database that was there is kept as {kept}")))?;
        }
        verified::print(verified)
    }
}

/// Migrates a copy with an older schema.
async fn bring_up_to_date(copy: &str) -> anyhow::Result<()> {
    if !connect::schema_version(copy).await?.is_current() {
        app::open_database_alone(copy, OnOlderSchema::Migrate, None).await?.close().await;
    }
    Ok(())
}
