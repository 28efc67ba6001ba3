//! Keys that sign and verify heads, and their files: `redflag audit keygen`, `redflag audit public-key`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context, anyhow};
use clap::Args;

use crate::{
    cli::output,
    domain::{AuditPublicKey, HeadSigner, audit_key::private_pem},
};

/// The private key that a server signs with.
#[derive(Debug, Clone)]
pub struct AuditKey {
    /// The signer with this key.
    pub signer: Arc<HeadSigner>,
    file: String,
    /// True when others than the owner may read the file.
    is_exposed: bool,
}

impl AuditKey {
    /// Reads a private key from a file.
    ///
    /// # Errors
    /// When the file can't be read or holds no such key. The error never repeats its content.
    pub fn read(file: &str) -> Result<Self, String> {
        let pem = fs::read(file).map_err(|error| error.to_string())?;
        let mode = fs::metadata(file).map_err(|error| error.to_string())?.permissions().mode();
        let signer = HeadSigner::parse(&pem).map_err(|rule| format!("the key in it {rule}"))?;
        Ok(Self { signer: Arc::new(signer), file: file.to_owned(), is_exposed: mode & 0o077 != 0 })
    }

    /// Logs the id of the key that signs, and a warning when others may read its file.
    pub fn log(&self) {
        let key = self.signer.public_key();
        tracing::info!(key_id = %key.id(), public_key = %key, "signing appended events");
        if self.is_exposed {
            tracing::warn!(
                file = self.file,
                "others than its owner may read the private key: set its mode to 0600"
            );
        }
    }
}

/// Reads a public key from base64, or from the file with that name.
///
/// # Errors
/// When it is neither.
pub fn read_public(raw: &str) -> Result<AuditPublicKey, String> {
    if let Ok(key) = AuditPublicKey::parse(raw) {
        return Ok(key);
    }
    let text = fs::read_to_string(raw).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "is neither base64 of an Ed25519 public key nor a file".to_owned(),
        _ => error.to_string(),
    })?;
    AuditPublicKey::parse(&text).map_err(|rule| format!("the key in it {rule}"))
}

#[derive(Debug, Args)]
pub struct Keygen {
    /// The new file that holds the private key, which only its owner may read
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Keygen {
    pub fn run(self) -> anyhow::Result<()> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow!("no random bytes: {error}"))?;
        let pem = private_pem(&secret);
        let signer = HeadSigner::parse(pem.as_bytes())?;
        let file = self.out.display();
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.out);
        let written = written.and_then(|mut out| out.write_all(pem.as_bytes()).and_then(|()| out.sync_all()));
        written.with_context(|| format!("can't write a new file {file}"))?;
        output::print(&signer.public_key().to_string())
    }
}

#[derive(Debug, Args)]
pub struct PrintPublicKey {
    /// The file that holds the private key
    #[arg(value_name = "FILE", value_parser = AuditKey::read)]
    file: AuditKey,
}

impl PrintPublicKey {
    pub fn run(self) -> anyhow::Result<()> {
        output::print(&self.file.signer.public_key().to_string())
    }
}
