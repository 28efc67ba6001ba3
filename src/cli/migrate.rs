//! `redflag migrate`.

use anyhow::bail;
use clap::Args;

use super::{Database, output};
use crate::{
    app,
    store::{
        connect,
        schema::{OnOlderSchema, SchemaVersion},
    },
};

/// Bring the database's schema up to date, and begin the histories of alerts that are older than histories are. `serve` does
/// so by itself unless told otherwise.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    database: Database,
    /// Change nothing; exit 0 when the schema is up to date, 1 when it is not
    #[arg(long)]
    check: bool,
}

impl Migrate {
    /// Migrates, or checks.
    pub async fn run(self) -> anyhow::Result<()> {
        let url = &self.database.database_url;
        if self.check {
            connect::check_there(url)?;
        } else {
            app::open_service(url, OnOlderSchema::Migrate).await?.adopt_alerts().await?;
        }
        let version = connect::schema_version(url).await?;
        let SchemaVersion { found, known } = version;
        if !version.is_current() {
            bail!("the database's schema is version {found}, this redflag knows {known}");
        }
        output::print(&format!("the database's schema is up to date: version {found}"))
    }
}
