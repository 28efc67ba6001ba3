//! Keys that sign and verify heads, and their files: `redflag audit keygen`, `redflag audit public-key`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use clap::Args;

use crate::{
    cli::output,
    config::AuditKey,
    domain::{AuditPublicKey, HeadSigner, audit_key::private_pem},
};

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
