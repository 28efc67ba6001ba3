//! The options of a client: the server, the key, the deadline and the retries.

use std::{env, time::Duration};

use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION, uri::Authority};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tonic::{
    metadata::MetadataMap,
    transport::{ClientTlsConfig, Endpoint},
};

use super::{error::root_cause, retry::Retry};
use crate::call;

/// The options of a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server: `http://HOST:PORT`, or `https://HOST:PORT` for TLS, verified against the machine's own certificates.
    pub server: String,
    /// The API key; without one only health checks work.
    pub api_key: Option<SecretString>,
    /// The person on whose behalf calls are made, for the history: 1 to 200 characters.
    pub actor: Option<String>,
    /// The longest time of a call with all its attempts. Each attempt sends the rest of it as its deadline.
    pub timeout: Duration,
    /// The most attempts of a call while the server is unavailable or overloaded; 0 counts as 1. A change keeps its
    /// `request_id` in every attempt, so it never happens twice.
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

/// An invalid option. Never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidOption {
    /// The server is no `http` or `https` URL of the required form.
    #[error("the server must be http://HOST:PORT or https://HOST:PORT, without a path or a password")]
    Server,
    /// The certificates of the machine can't be used.
    #[error("can't set up TLS: {0}")]
    Tls(String),
    /// The key holds a character that a header can't carry.
    #[error("the API key must hold only visible ASCII characters")]
    ApiKey,
    /// The actor holds a character that a header can't carry.
    #[error("the actor must not hold control characters")]
    Actor,
    /// A variable of the environment is no Unicode text.
    #[error("the variable {0} is no Unicode text")]
    Variable(&'static str),
}

/// The interval of HTTP/2 pings on a connection with calls in flight, and the time to answer one.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of TCP keep-alive, also without calls in flight.
const TCP_KEEP_ALIVE: Duration = Duration::from_mins(1);

impl Options {
    /// The default server: the default address of `redflag serve`.
    pub const SERVER: &'static str = "http://127.0.0.1:8080";
    /// The default time of a call.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// The default number of attempts.
    pub const ATTEMPTS: u32 = 4;
    /// The variable that names the server.
    pub const SERVER_VARIABLE: &'static str = "REDFLAG_SERVER";
    /// The variable that holds the API key.
    pub const API_KEY_VARIABLE: &'static str = "REDFLAG_API_KEY";

    /// Reads the variables `REDFLAG_SERVER` and `REDFLAG_API_KEY`; empty ones count as not set.
    ///
    /// # Errors
    /// When a variable is no Unicode text.
    pub fn from_env() -> Result<Self, InvalidOption> {
        let server = variable(Self::SERVER_VARIABLE)?.unwrap_or_else(|| Self::SERVER.to_owned());
        let api_key = variable(Self::API_KEY_VARIABLE)?.map(SecretString::from);
        Ok(Self { server, api_key, ..Self::default() })
    }

    /// Checks the form of the server's URL, without connecting.
    ///
    /// # Errors
    /// When the URL has another form.
    pub fn check_server(&self) -> Result<(), InvalidOption> {
        self.uri().map(drop)
    }

    fn uri(&self) -> Result<Uri, InvalidOption> {
        let uri: Uri = self.server.parse().map_err(|_| InvalidOption::Server)?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        // An invalid port is an error, not an absent port.
        let is_port = |it: &Authority| it.as_str().len() == it.host().len() || it.port_u16().is_some();
        let has_port = uri.authority().is_some_and(is_port);
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        (is_known && is_bare && has_host && has_port && !has_user).then_some(uri).ok_or(InvalidOption::Server)
    }

    /// Makes the endpoint to connect to.
    pub(super) fn endpoint(&self) -> Result<Endpoint, InvalidOption> {
        let uri = self.uri()?;
        let is_secure = uri.scheme_str() == Some("https");
        let agent = concat!("redflag/", env!("CARGO_PKG_VERSION"));
        let endpoint = Endpoint::from(uri).user_agent(agent).map_err(|_| InvalidOption::Server)?;
        // Keep-alive detects a peer that vanished without closing the connection.
        let endpoint = endpoint
            .connect_timeout(self.timeout)
            .tcp_keepalive(Some(TCP_KEEP_ALIVE))
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        if !is_secure {
            return Ok(endpoint);
        }
        let tls = ClientTlsConfig::new().with_enabled_roots();
        endpoint.tls_config(tls).map_err(|error| InvalidOption::Tls(root_cause(&error).to_string()))
    }

    /// Makes the metadata of every call: the key, marked as sensitive, and the actor.
    pub(super) fn metadata(&self) -> Result<MetadataMap, InvalidOption> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.api_key {
            headers.insert(AUTHORIZATION, authorization(key.expose_secret())?);
        }
        if let Some(actor) = &self.actor {
            // From bytes, because a person's name may be any Unicode text.
            let actor = HeaderValue::from_bytes(actor.as_bytes()).map_err(|_| InvalidOption::Actor)?;
            headers.insert(call::ACTOR, actor);
        }
        Ok(MetadataMap::from_headers(headers))
    }

    /// Returns the rules of retries.
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
        let printed = format!("{options:?} {:?}", options.metadata().unwrap());
        assert!(!printed.contains("nobody"), "{printed}");
        let broken = Options { api_key: Some(format!("{key}\n").into()), ..Options::default() };
        assert_eq!(broken.metadata().unwrap_err(), InvalidOption::ApiKey);
    }
}
