//! Parsing of database URLs, with one server or several. The driver knows one server and ignores what it
//! does not know; here every part of the URL is honoured or refused.

use std::{str::FromStr, time::Duration};

use sqlx::postgres::PgConnectOptions;

use crate::store::schema::OpenError;

/// How long connecting to one server may take, unless the URL says so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Parameters that the driver honours.
const KNOWN: [&str; 14] = [
    "application_name",
    "dbname",
    "options",
    "password",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The servers of a URL.
#[derive(Debug, Clone)]
pub struct Address {
    /// How to connect to each, in the order of the URL.
    pub servers: Vec<PgConnectOptions>,
    /// How long connecting to one may take.
    pub connect_timeout: Duration,
    /// Accept a server that takes no writes.
    pub takes_any: bool,
}

/// The parts of a URL that concern which server.
#[derive(Default)]
struct Parts<'u> {
    hosts: Vec<&'u str>,
    ports: Vec<&'u str>,
    addresses: Vec<&'u str>,
    rest: Vec<&'u str>,
    connect_timeout: Option<Duration>,
    takes_any: bool,
}

impl Address {
    /// Reads `postgres://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/[NAME][?PARAMETERS]`.
    ///
    /// # Errors
    /// [`OpenError::Url`], which never repeats a password.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, place) = base.split_once("://").ok_or_else(|| refused("must begin with postgres://"))?;
        let (authority, name) = place.split_once('/').unwrap_or((place, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let mut parts = Parts { hosts: hosts.split(',').collect(), ..Parts::default() };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            parts.read(parameter)?;
        }
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let rest = parts.rest.join("&");
        let servers = parts.servers()?.into_iter().map(|(host, more)| {
            let url = format!("{scheme}://{user}{host}/{name}?{more}{rest}");
            PgConnectOptions::from_str(&url).map_err(|error| OpenError::Url(error.to_string()))
        });
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            connect_timeout: parts.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            takes_any: parts.takes_any,
        })
    }
}

impl<'u> Parts<'u> {
    fn read(&mut self, parameter: &'u str) -> Result<(), OpenError> {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match key {
            "host" => self.hosts = value.split(',').collect(),
            "hostaddr" => self.addresses = value.split(',').collect(),
            "port" => self.ports = value.split(',').collect(),
            "connect_timeout" => {
                let seconds = value.parse::<u64>().map_err(|_| {
                    refused(&format!("has the connect_timeout `{value}`, which must be whole seconds"))
                })?;
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "target_session_attrs" => {
                self.takes_any = match value {
                    "any" => true,
                    "read-write" | "primary" => false,
                    _ => {
                        return Err(refused(&format!(
                            "has the target_session_attrs `{value}`: redflag writes, so it must be read-write (the default), primary or any"
                        )));
                    }
                }
            }
            _ if KNOWN.contains(&key) || key.starts_with("options[") => self.rest.push(parameter),
            _ => return Err(refused(&format!("has the parameter `{key}`, which redflag does not support"))),
        }
        Ok(())
    }

    /// Returns the parts of the URL that differ between servers: of its authority, and of its parameters.
    fn servers(&self) -> Result<Vec<(String, String)>, OpenError> {
        let hosts = match (self.hosts.len(), self.addresses.len()) {
            (_, 0) => self.hosts.iter().map(|host| place(host)).collect::<Vec<_>>(),
            (hosts, addresses) if hosts == addresses || self.hosts == [""] => {
                // The driver connects to the address whatever the host is.
                let names = self.hosts.iter().cycle().zip(&self.addresses);
                names.map(|(host, address)| (place(host).0, format!("hostaddr={address}&"))).collect()
            }
            (hosts, addresses) => {
                return Err(refused(&format!(
                    "has {addresses} addresses (hostaddr) for {hosts} hosts: give one for each"
                )));
            }
        };
        let ports = match self.ports.as_slice() {
            [] => vec![String::new(); hosts.len()],
            [port] => vec![format!("port={port}&"); hosts.len()],
            ports if ports.len() == hosts.len() => ports.iter().map(|port| format!("port={port}&")).collect(),
            ports => {
                let (ports, hosts) = (ports.len(), hosts.len());
                return Err(refused(&format!(
                    "has {ports} ports for {hosts} hosts: give one, or one for each"
                )));
            }
        };
        let with_port = |((authority, more), port): ((String, String), String)| (authority, more + &port);
        Ok(hosts.into_iter().zip(ports).map(with_port).collect())
    }
}

/// The parts of the URL that name one host: of its authority, and of its parameters.
fn place(host: &str) -> (String, String) {
    let is_socket = host.starts_with('/') || host.starts_with("%2F");
    if is_socket { (String::new(), format!("host={host}&")) } else { (host.to_owned(), String::new()) }
}

fn refused(what: &str) -> OpenError {
    OpenError::Url(format!("the database URL {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(url: &str) -> Vec<(String, u16)> {
        let address = Address::parse(url).unwrap();
        address.servers.iter().map(|server| (server.get_host().to_owned(), server.get_port())).collect()
    }

    fn refusal(url: &str) -> String {
        Address::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn a_url_names_one_server_or_several() {
        assert_eq!(places("postgres://u:p@db/name"), [("db".to_owned(), 5432)]);
        assert_eq!(
            places("postgresql://u:p%40,x@a:1,b,[::1]:3/name?sslmode=disable"),
            [("a".to_owned(), 1), ("b".to_owned(), 5432), ("[::1]".to_owned(), 3)]
        );
        assert_eq!(places("postgres:///name?host=a,b&port=1,2"), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let both = Address::parse("postgres://u:p@a,b/name?user=other").unwrap();
        assert!(
            both.servers
                .iter()
                .all(|server| { server.get_username() == "other" && server.get_database() == Some("name") })
        );
    }

    #[test]
    fn a_socket_is_a_host_too() {
        let address = Address::parse("postgres:///name?host=/run/postgresql&user=ana").unwrap();
        assert_eq!(address.servers[0].get_socket().unwrap().to_str(), Some("/run/postgresql"));
    }

    #[test]
    fn each_host_has_its_own_address() {
        assert_eq!(
            places("postgres://a,b/n?hostaddr=10.0.0.1,10.0.0.2&port=1,2"),
            [("10.0.0.1".to_owned(), 1), ("10.0.0.2".to_owned(), 2)]
        );
        assert_eq!(places("postgres://a:7/n?hostaddr=10.0.0.1"), [("10.0.0.1".to_owned(), 7)]);
        assert_eq!(
            places("postgres:///n?hostaddr=10.0.0.1,::1"),
            [("10.0.0.1".to_owned(), 5432), ("::1".to_owned(), 5432)]
        );
        assert_eq!(
            refusal("postgres://u:secret@a,b/n?hostaddr=10.0.0.1"),
            "the database URL has 1 addresses (hostaddr) for 2 hosts: give one for each"
        );
    }

    #[test]
    fn what_is_asked_of_servers_is_honoured_or_refused() {
        let address = Address::parse("postgres://a,b/n?target_session_attrs=any&connect_timeout=7").unwrap();
        assert!(address.takes_any);
        assert_eq!(address.connect_timeout, Duration::from_secs(7));
        assert!(!Address::parse("postgres://a/n?target_session_attrs=read-write").unwrap().takes_any);
        assert_eq!(
            refusal("postgres://u:secret@a/n?target_session_attrs=standby"),
            "the database URL has the target_session_attrs `standby`: redflag writes, so it must be read-write (the default), primary or any"
        );
        assert_eq!(
            refusal("postgres://u:secret@a/n?keepalives_idle=3"),
            "the database URL has the parameter `keepalives_idle`, which redflag does not support"
        );
        assert_eq!(
            refusal("postgres://a/n?connect_timeout=soon"),
            "the database URL has the connect_timeout `soon`, which must be whole seconds"
        );
        assert_eq!(
            refusal("postgres:///n?host=a,b,c&port=1,2"),
            "the database URL has 2 ports for 3 hosts: give one, or one for each"
        );
        assert!(!refusal("postgres://u:secret@a:seven/n").contains("secret"));
    }
}
