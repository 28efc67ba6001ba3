//! Flags that name the server and the key.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;

use super::exit::MissingKey;
use crate::{
    client::{Client, Options},
    config::parse::parse_span,
    domain::Person,
};

/// The most bytes that are read of a key file.
const MAX_KEY_FILE: u64 = 4 * 1024;

/// The server, the key and the actor.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct Connection {
    #[command(flatten)]
    server: Server,
    /// A file that holds the API key; without it the key is the variable `REDFLAG_API_KEY`. No flag takes the key itself: others
    /// on the machine could see it
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// On whose behalf, for the history: 1 to 200 characters
    #[arg(long, value_name = "PERSON", value_parser = |raw: &str| Person::parse(raw).map(Person::into_string))]
    actor: Option<String>,
}

/// The server, and the time to wait for it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// The server, http://HOST:PORT or https://HOST:PORT
    #[arg(long, env = Options::SERVER_VARIABLE, hide_env_values = true, default_value = Options::SERVER, value_name = "URL", value_parser = parse_server)]
    server: String,
    /// How long one call may take, with up to 3 retries while the server is unavailable
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_span)]
    timeout: Duration,
}

impl Server {
    /// Returns the options of a client without a key.
    pub fn options(&self) -> Options {
        Options { server: self.server.clone(), timeout: self.timeout, ..Options::default() }
    }
}

impl Connection {
    /// Makes a client with the key.
    ///
    /// # Errors
    /// When there is no key, or its file can't be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        let (api_key, actor) = (Some(self.key()?), self.actor.clone());
        Ok(Client::new(&Options { api_key, actor, ..self.server.options() })?)
    }

    fn key(&self) -> anyhow::Result<SecretString> {
        let key = match &self.api_key_file {
            Some(file) => {
                read_key(file).with_context(|| format!("can't read the key file {}", file.display()))?
            }
            None => env::var(Options::API_KEY_VARIABLE).unwrap_or_default(),
        };
        let key = key.trim_ascii_end();
        if key.is_empty() { Err(MissingKey.into()) } else { Ok(key.into()) }
    }
}

/// Reads a key file, up to a size that no key reaches.
fn read_key(file: &Path) -> io::Result<String> {
    let mut key = String::new();
    fs::File::open(file)?.take(MAX_KEY_FILE).read_to_string(&mut key)?;
    Ok(key)
}

fn parse_server(raw: &str) -> Result<String, String> {
    let options = Options { server: raw.to_owned(), ..Options::default() };
    options.check_server().map(|()| raw.to_owned()).map_err(|error| error.to_string())
}
