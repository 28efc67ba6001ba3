//! Which server, with which key, and how patiently.

use std::{env, time::Duration};

use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION, uri::Authority};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tonic::{
    metadata::MetadataMap,
    transport::{ClientTlsConfig, Endpoint},
};

use super::{error::innermost, retry::Retry};
use crate::call;

/// How a client is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server: `http://HOST:PORT`, or `https://HOST:PORT` for TLS, verified against the machine's own certificates.
    pub server: String,
    /// The API key. Without one only health answers.
    pub api_key: Option<SecretString>,
    /// On whose behalf calls are made, which the history keeps: 1 to 200 characters.
    pub actor: Option<String>,
    /// How long one call may take with all its attempts. The server is told what is left of it.
    pub timeout: Duration,
    /// How often a call is tried in all while the server is unavailable or overloaded; 0 counts as 1. A change is retried
    /// under the same `request_id`, so that it never happens twice.
    pub attempts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server: Self::SERVER.to_owned(),
            api_key: None,
            actor: None,
            timeout: Self::TIMEOUT,
            attempts: Self::ATTEMPTS,
        }
    }
}

/// An option that can't be used; never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidOption {
    /// The server is no URL of the two kinds.
    #[error("the server must be http://HOST:PORT or https://HOST:PORT, without a path or a password")]
    Server,
    /// The certificates of the machine can't be used.
    #[error("can't set up TLS: {0}")]
    Tls(String),
    /// The key can't be sent.
    #[error("the API key must hold only visible ASCII characters")]
    ApiKey,
    /// The actor can't be sent.
    #[error("the actor must not hold control characters")]
    Actor,
    /// A variable of the environment is no text.
    #[error("the variable {0} is no Unicode text")]
    Variable(&'static str),
}

/// How often a connection with calls in flight is asked whether it is still there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the system asks, also while nothing is called.
const TCP_KEEP_ALIVE: Duration = Duration::from_mins(1);

impl Options {
    /// Where `redflag serve` listens unless told otherwise.
    pub const SERVER: &'static str = "http://127.0.0.1:8080";
    /// How long a call may take unless told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// How often a call is tried unless told otherwise.
    pub const ATTEMPTS: u32 = 4;
    /// The variable that names the server.
    pub const SERVER_VARIABLE: &'static str = "REDFLAG_SERVER";
    /// The variable that holds the API key.
    pub const API_KEY_VARIABLE: &'static str = "REDFLAG_API_KEY";

    /// What the variables `REDFLAG_SERVER` and `REDFLAG_API_KEY` say, where they are set and not empty.
    ///
    /// # Errors
    /// When a variable is no Unicode text.
    pub fn from_env() -> Result<Self, InvalidOption> {
        let server = variable(Self::SERVER_VARIABLE)?.unwrap_or_else(|| Self::SERVER.to_owned());
        let api_key = variable(Self::API_KEY_VARIABLE)?.map(SecretString::from);
        Ok(Self { server, api_key, ..Self::default() })
    }

    /// Whether the server is named as it must be; connects nowhere.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_server(&self) -> Result<(), InvalidOption> {
        self.uri().map(drop)
    }

    fn uri(&self) -> Result<Uri, InvalidOption> {
        let uri: Uri = self.server.parse().map_err(|_| InvalidOption::Server)?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        // What is no port is not taken for none.
        let is_port = |it: &Authority| it.as_str().len() == it.host().len() || it.port_u16().is_some();
        let has_port = uri.authority().is_some_and(is_port);
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        (is_known && is_bare && has_host && has_port && !has_user).then_some(uri).ok_or(InvalidOption::Server)
    }

    /// Where to connect, and how.
    pub(super) fn endpoint(&self) -> Result<Endpoint, InvalidOption> {
        let uri = self.uri()?;
        let is_secure = uri.scheme_str() == Some("https");
        let agent = concat!("redflag/", env!("CARGO_PKG_VERSION"));
        let endpoint = Endpoint::from(uri).user_agent(agent).map_err(|_| InvalidOption::Server)?;
        // A peer that is gone without a word is noticed while a call waits for it.
        let endpoint = endpoint
            .connect_timeout(self.timeout)
            .tcp_keepalive(Some(TCP_KEEP_ALIVE))
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        if !is_secure {
            return Ok(endpoint);
        }
        let tls = ClientTlsConfig::new().with_enabled_roots();
        endpoint.tls_config(tls).map_err(|error| InvalidOption::Tls(innermost(&error).to_string()))
    }

    /// What every call carries: the key, marked so that nothing prints it, and the actor.
    pub(super) fn metadata(&self) -> Result<MetadataMap, InvalidOption> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.api_key {
            headers.insert(AUTHORIZATION, authorization(key.expose_secret())?);
        }
        if let Some(actor) = &self.actor {
            // As bytes: a person's name may be any Unicode text.
            let actor = HeaderValue::from_bytes(actor.as_bytes()).map_err(|_| InvalidOption::Actor)?;
            headers.insert(call::ACTOR, actor);
        }
        Ok(MetadataMap::from_headers(headers))
    }

    /// How patiently calls are made.
    pub(super) fn retry(&self) -> Retry {
        Retry { timeout: self.timeout, attempts: self.attempts }
    }
}

fn authorization(key: &str) -> Result<HeaderValue, InvalidOption> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidOption::ApiKey);
    }
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| InvalidOption::ApiKey)?;
    value.set_sensitive(true);
    Ok(value)
}

fn variable(name: &'static str) -> Result<Option<String>, InvalidOption> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(InvalidOption::Variable(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(server: &str) -> Result<Endpoint, InvalidOption> {
        Options { server: server.to_owned(), ..Options::default() }.endpoint()
    }

    #[test]
    fn servers_are_urls_of_two_kinds() {
        for server in ["http://localhost:8080", "http://[::1]:8080/", "https://alerts.example.com"] {
            assert!(at(server).is_ok(), "{server}");
        }
        for server in [
            "localhost:8080",
            "",
            "ftp://host",
            "http://",
            "http://host/path",
            "http://u:p@host",
            "/x",
            "http://host:99999",
            "http://host:",
        ] {
            assert_eq!(at(server).err(), Some(InvalidOption::Server), "{server}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = "rf_a-key-that-nobody-may-see";
        let options = Options { api_key: Some(key.into()), ..Options::default() };
        let told = format!("{options:?} {:?}", options.metadata().unwrap());
        assert!(!told.contains("nobody"), "{told}");
        let broken = Options { api_key: Some(format!("{key}\n").into()), ..Options::default() };
        assert_eq!(broken.metadata().unwrap_err(), InvalidOption::ApiKey);
    }
}
