//! The first API key, and the key that signs the history.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, sync::Arc};

use clap::Args;

use crate::{
    auth::Secret,
    domain::{HeadSigner, Invalid},
};

/// The flag whose value is a secret.
pub const BOOTSTRAP_KEY: &str = "--bootstrap-key";

/// The first API key of an empty database.
#[derive(Debug, Clone, Args)]
pub struct FirstKeySecret {
    /// The first API key, 32 to 200 visible ASCII characters, used while the database has no key; better given in a file
    /// or by its variable than on the command line, where others can see it [default: made and printed once]
    #[arg(long, env = "REDFLAG_BOOTSTRAP_KEY", hide_env_values = true, value_name = "KEY", value_parser = parse_secret)]
    pub bootstrap_key: Option<Secret>,
    /// A file that holds the first API key
    #[arg(
        long,
        env = "REDFLAG_BOOTSTRAP_KEY_FILE",
        value_name = "FILE",
        value_parser = read_secret,
        conflicts_with = "bootstrap_key"
    )]
    pub bootstrap_key_file: Option<Secret>,
}

impl FirstKeySecret {
    /// Returns the secret, where one was chosen.
    pub fn secret(&self) -> Option<&Secret> {
        self.bootstrap_key.as_ref().or(self.bootstrap_key_file.as_ref())
    }
}

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

/// The fewest different characters of a chosen key. 32 random characters of any usual alphabet have more.
const MIN_VARIETY: usize = 8;

fn parse_secret(raw: &str) -> Result<Secret, Invalid> {
    let secret = Secret::parse(raw)?;
    let variety = raw.bytes().collect::<BTreeSet<_>>().len();
    if variety < MIN_VARIETY {
        let rule = format!("must hold at least {MIN_VARIETY} different characters, has {variety}");
        return Err(Invalid::new(rule));
    }
    Ok(secret)
}

/// Reads the secret in a file, which may end with a line feed.
fn read_secret(path: &str) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse_secret(text.trim_end_matches(['\r', '\n'])).map_err(|rule| format!("the key in it {rule}"))
}
