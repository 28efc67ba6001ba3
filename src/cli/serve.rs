//! `redflag serve`.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::bail;
use clap::{Args, builder::BoolishValueParser};
use http::HeaderValue;
use tokio::signal::unix::{SignalKind, signal};

use super::{Database, audit::AuditKey, output};
use crate::{
    answers::AnswerLimits,
    app::{App, Config, ConnectionLimits},
    auth::Secret,
    domain::{ApiKey, Invalid},
    grpc::Reflection,
    operator::FirstKey,
    store::{queue::GroupCommit, schema::OnOlderSchema},
};

/// The flag whose value is a secret.
pub const BOOTSTRAP_KEY: &str = "--bootstrap-key";

/// Run the service: gRPC and REST on one port, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one, which is printed
    #[arg(long, env = "REDFLAG_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = parse_listen)]
    listen: String,
    #[command(flatten)]
    database: Database,
    /// How many connections to the database at most; on PostgreSQL up to 4 more, one of them for readiness and the others for
    /// moments: size the limit of the role by N + 4. From 4 on, with one commit in flight, changes, look-ups, lists and
    /// changes that wait for locks each have their own [default: 2 for each core, at least 7]
    #[arg(long, env = "REDFLAG_DATABASE_CONNECTIONS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    database_connections: Option<u32>,
    /// How many changes share one commit at most; 1 gives each its own
    #[arg(long, env = "REDFLAG_CHANGES_PER_COMMIT", default_value_t = GroupCommit::DEFAULT.size, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    changes_per_commit: usize,
    /// How many changes may wait for the next commit, and at most 64 MiB of them; beyond, those of the organization with most
    /// of them are refused with 429, over gRPC `RESOURCE_EXHAUSTED`
    #[arg(long, env = "REDFLAG_WAITING_CHANGES", default_value_t = GroupCommit::DEFAULT.waiting, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    waiting_changes: usize,
    /// How many commits PostgreSQL works on at once, each for other organizations, and fewer than there are connections; one more
    /// is kept for organizations with few changes. SQLite has one writer
    #[arg(long, env = "REDFLAG_COMMITS_IN_FLIGHT", default_value_t = GroupCommit::DEFAULT.in_flight, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    commits_in_flight: usize,
    /// Refuse to start on an older schema instead of migrating it
    #[arg(long, env = "REDFLAG_NO_MIGRATE", value_parser = BoolishValueParser::new())]
    no_migrate: bool,
    /// The first API key, 32 to 200 visible ASCII characters, used while the database has no key; better given in a file
    /// or by its variable than on the command line, where others can see it [default: made and printed once]
    #[arg(long, env = "REDFLAG_BOOTSTRAP_KEY", hide_env_values = true, value_name = "KEY", value_parser = parse_secret)]
    bootstrap_key: Option<Secret>,
    /// A file that holds the first API key
    #[arg(
        long,
        env = "REDFLAG_BOOTSTRAP_KEY_FILE",
        value_name = "FILE",
        value_parser = read_secret,
        conflicts_with = "bootstrap_key"
    )]
    bootstrap_key_file: Option<Secret>,
    /// A file that holds an Ed25519 private key in PEM, as `redflag audit keygen` writes it: redflag signs the events that it
    /// appends, and `redflag audit verify --public-key` finds those that somebody else appended who may write to the
    /// database [default: nothing is signed]
    #[arg(long, env = "REDFLAG_AUDIT_KEY_FILE", value_name = "FILE", value_parser = AuditKey::read)]
    audit_key_file: Option<AuditKey>,
    /// How long one call may take; a caller's own deadline may be shorter
    #[arg(long, env = "REDFLAG_REQUEST_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = parse_span)]
    request_timeout: Duration,
    #[command(flatten)]
    connections: ConnectionArgs,
    /// How many MiB of lists may be held for one key until its callers have read them; further lists wait a moment, and are
    /// then refused with 429, over gRPC `RESOURCE_EXHAUSTED`
    #[arg(long, env = "REDFLAG_ANSWER_MEMORY_PER_KEY", default_value_t = AnswerLimits::DEFAULT.per_key, value_name = "MIB", value_parser = clap::value_parser!(u32).range(i64::from(AnswerLimits::LEAST)..=65_536))]
    answer_memory_per_key: u32,
    /// How many MiB of lists may be held for all keys together; one organization gets as much of it as it leaves free
    #[arg(long, env = "REDFLAG_ANSWER_MEMORY", default_value_t = AnswerLimits::DEFAULT.total, value_name = "MIB", value_parser = clap::value_parser!(u32).range(i64::from(AnswerLimits::LEAST)..=65_536))]
    answer_memory: u32,
    /// Answer gRPC reflection, which lists services and messages: to anybody, to callers with a valid key, or to nobody
    #[arg(long, env = "REDFLAG_REFLECTION", default_value = "open", value_name = "WHO", value_enum)]
    reflection: Reflection,
    /// How long to keep taking calls after health has turned NOT_SERVING, so that load balancers notice
    #[arg(long, env = "REDFLAG_SHUTDOWN_DELAY", default_value = "0s", value_name = "TIME", value_parser = humantime::parse_duration)]
    shutdown_delay: Duration,
    /// How long calls in flight may take to finish at shutdown; closing takes up to 5 s more
    #[arg(long, env = "REDFLAG_DRAIN_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    drain_timeout: Duration,
    /// A web origin whose pages may call from a browser, such as `https://console.example.com`, or `*` for any; may be
    /// given several times, in the variable separated by commas [default: none]
    #[arg(long = "allow-origin", env = "REDFLAG_ALLOW_ORIGINS", value_delimiter = ',', value_name = "ORIGIN", value_parser = parse_origin)]
    allow_origins: Vec<HeaderValue>,
    /// Don't serve the page at `/docs`
    #[arg(long, env = "REDFLAG_NO_DOCS", value_parser = BoolishValueParser::new())]
    no_docs: bool,
    /// The flags that hold a secret on the command line.
    #[arg(skip)]
    pub exposed: Vec<&'static str>,
}

/// The limits of connections.
#[derive(Debug, Args)]
struct ConnectionArgs {
    /// How many connections at most; when all are taken, idle ones are closed for new ones: those that
    /// never showed a valid key, then those of the organization that has most
    #[arg(long, env = "REDFLAG_CONNECTIONS", default_value_t = ConnectionLimits::DEFAULT.total, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    connections: usize,
    /// How many connections from one address at most, of IPv6 from one /64 network; 0 is no limit, for behind a proxy
    #[arg(long, env = "REDFLAG_CONNECTIONS_PER_ADDRESS", default_value_t = ConnectionLimits::DEFAULT.per_address, value_name = "N")]
    connections_per_address: usize,
    /// How long an HTTP/1.1 connection may be idle between two calls; longer than a load balancer keeps it
    #[arg(long, env = "REDFLAG_IDLE_TIMEOUT", default_value = "75s", value_name = "TIME", value_parser = parse_span)]
    idle_timeout: Duration,
    /// How long a connection may last, give or take a tenth, before its client is asked to open another, which moves it on to
    /// new instances; 0s is no limit
    #[arg(long, env = "REDFLAG_MAX_CONNECTION_AGE", default_value = "30m", value_name = "TIME", value_parser = humantime::parse_duration)]
    max_connection_age: Duration,
    /// How long calls in flight may take to finish on a connection that is that old
    #[arg(long, env = "REDFLAG_MAX_CONNECTION_AGE_GRACE", default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    max_connection_age_grace: Duration,
}

impl From<ConnectionArgs> for ConnectionLimits {
    fn from(set: ConnectionArgs) -> Self {
        Self {
            total: set.connections,
            per_address: set.connections_per_address,
            idle: set.idle_timeout,
            max_age: set.max_connection_age,
            age_grace: set.max_connection_age_grace,
        }
    }
}

impl Serve {
    /// Serves until a signal stops it.
    pub async fn run(self) -> anyhow::Result<()> {
        // Signals are taken first: one that comes during the start must not be lost.
        let (stop, stop_at_once, stop_starting) = (stop_signals(1)?, stop_signals(2)?, stop_signals(1)?);
        // Raises the limit of open files as far as possible; a failure leaves the present limit.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let (exposed, audit_key) = (self.exposed.clone(), self.audit_key_file.clone());
        let config = self.config();
        let settings = config.clone();
        let app = tokio::select! {
            app = App::start(config) => app?,
            () = stop_starting => return Ok(()),
        };
        let address = app.address();
        log_start(&settings, address);
        if let Some(key) = audit_key {
            key.log();
        }
        for flag in exposed {
            tracing::warn!(
                "{flag} holds a secret on the command line, which every user of this machine can read"
            );
        }
        // The key comes first: it is shown only once, also when standard output can't be written to.
        if let Some(first) = app.first_key() {
            output::notice(&welcome(first, &format!("http://{address}")));
        }
        if let Err(error) = output::print(&format!("redflag listening on http://{address} (gRPC + REST)")) {
            tracing::warn!(%error, %address, "can't write the address to standard output");
        }
        tokio::select! {
            () = app.run(stop) => Ok(()),
            () = stop_at_once => bail!("stopped by a second signal: calls in flight were cut off"),
        }
    }

    fn config(self) -> Config {
        Config {
            listen: self.listen,
            database_url: self.database.url().to_owned(),
            database_connections: self.database_connections.unwrap_or_else(default_connections),
            commits: GroupCommit {
                size: self.changes_per_commit,
                waiting: self.waiting_changes,
                in_flight: self.commits_in_flight,
            },
            on_older: if self.no_migrate { OnOlderSchema::Refuse } else { OnOlderSchema::Migrate },
            audit_key: self.audit_key_file.map(|key| key.signer),
            bootstrap_key: self.bootstrap_key.or(self.bootstrap_key_file),
            request_timeout: self.request_timeout,
            connections: self.connections.into(),
            answers: AnswerLimits { per_key: self.answer_memory_per_key, total: self.answer_memory },
            reflection: self.reflection,
            shutdown_delay: self.shutdown_delay,
            drain_timeout: self.drain_timeout,
            allow_origins: self.allow_origins,
            docs: !self.no_docs,
        }
    }
}

/// Logs the version and the settings, without secrets.
fn log_start(config: &Config, address: SocketAddr) {
    // Only the scheme is logged: the rest of the URL may hold a password.
    let database = config.database_url.split(':').next().unwrap_or_default();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %address,
        database,
        database_connections = config.database_connections,
        changes_per_commit = config.commits.size,
        waiting_changes = config.commits.waiting,
        request_timeout = ?config.request_timeout,
        "started"
    );
}

/// Twice the cores, at least 6: more connections make a database slower, not faster.
fn default_connections() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(2 * cores).unwrap_or(u32::MAX).max(7)
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

/// Checks the form `HOST:PORT`. The host is looked up later, on binding.
fn parse_listen(raw: &str) -> Result<String, &'static str> {
    let is_address =
        raw.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_address { Ok(raw.to_owned()) } else { Err("must be HOST:PORT with a port of 0 to 65535") }
}

/// Parses a duration longer than 0.
pub fn parse_span(raw: &str) -> Result<Duration, String> {
    match humantime::parse_duration(raw) {
        Ok(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_origin(raw: &str) -> Result<HeaderValue, String> {
    let host = raw.strip_prefix("https://").or_else(|| raw.strip_prefix("http://"));
    // A wildcard within an origin would match no origin.
    if raw != "*" && host.is_none_or(|host| host.is_empty() || host.contains(['/', '*'])) {
        return Err("must be * or an origin such as https://console.example.com, without a path or wildcard"
            .to_owned());
    }
    HeaderValue::from_str(raw).map_err(|error| error.to_string())
}

/// Writes the first steps, with the first key when it was generated.
fn welcome(first: &FirstKey, url: &str) -> String {
    let FirstKey { key: ApiKey { organization_id, .. }, generated } = first;
    let Some(secret) = generated else {
        return format!(
            "Made the organization default ({organization_id}) with the key given as REDFLAG_BOOTSTRAP_KEY."
        );
    };
    let secret = secret.reveal();
    format!(
        "\nThis database is new: made the organization default ({organization_id}) and its first API key, which may do\n\
         everything and is shown only now:\n\n    {secret}\n\nFlag a balance:\n\n    \
         curl {url}/alerts/flag/bln_1 -H 'Authorization: Bearer {secret}' \\\n        \
         -H 'Content-Type: application/json' -d '{{\"description\": \"My first alert\"}}'\n\n\
         Read {url}/docs for all calls.\n"
    )
}

/// Completes when SIGTERM or Ctrl-C has come `times` times.
fn stop_signals(times: usize) -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        for _ in 0..times {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    })
}
