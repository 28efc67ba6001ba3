//! `redflag migrate`.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use super::{Database, output};
use crate::{
    app,
    config::AuditKey,
    domain::HeadSigner,
    store::{
        connect,
        schema::{OnOlderSchema, OpenError, SchemaVersion},
    },
};

/// Bring the database's schema up to date, and begin the histories of alerts that are older than histories are. `serve` does
/// so by itself, unless it is started with `--no-migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    database: Database,
    /// Change nothing; exit 0 when the schema is up to date, 1 when it is not
    #[arg(long)]
    check: bool,
    /// A file that holds the private key that `redflag serve` signs with: the first events of older alerts are signed too
    #[arg(long, env = "REDFLAG_AUDIT_KEY_FILE", value_name = "FILE", value_parser = AuditKey::read)]
    audit_key_file: Option<AuditKey>,
}

impl Migrate {
    /// Migrates, or checks the schema with `--check`.
    pub async fn run(self) -> anyhow::Result<()> {
        let url = self.database.url();
        if self.check {
            connect::check_there(url)?;
        } else {
            migrate(url, self.audit_key_file.map(|key| key.signer)).await?;
        }
        let version = connect::schema_version(url).await?;
        let SchemaVersion { found, known } = version;
        if !version.is_current() {
            bail!("the database's schema is version {found}, this redflag knows {known}");
        }
        output::print(&format!("the database's schema is up to date: version {found}"))
    }
}

/// Migrates. A running server that holds the database and has migrated it already is no error.
async fn migrate(url: &str, signer: Option<Arc<HeadSigner>>) -> anyhow::Result<()> {
    match app::open_database_alone(url, OnOlderSchema::Migrate, signer).await {
        Ok(operator) => {
            let adopted = operator.adopt_alerts().await;
            operator.close().await;
            Ok(adopted.map(drop)?)
        }
        Err(error) if is_in_use(&error) && connect::schema_version(url).await?.is_current() => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::InUse { .. }))
}
