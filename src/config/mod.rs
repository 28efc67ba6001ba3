//! The settings of `redflag serve`: each is written once, as a field with its flag, its variable, its default and its help, and
//! read from there by whoever needs it.

mod answers;
mod commits;
mod connections;
mod database;
mod keys;
pub mod parse;

use std::{num::NonZero, thread::available_parallelism, time::Duration};

use clap::{Args, Command, FromArgMatches, builder::BoolishValueParser};
use http::HeaderValue;

use self::parse::{parse_listen, parse_origin, parse_span};
pub use self::{
    answers::AnswerLimits,
    commits::GroupCommit,
    connections::ConnectionLimits,
    database::Database,
    keys::{AuditKey, BOOTSTRAP_KEY, FirstKeySecret},
};
use crate::{grpc::Reflection, store::schema::OnOlderSchema};

/// The settings of a server.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one, which is printed
    #[arg(long, env = "REDFLAG_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen: String,
    /// The database.
    #[command(flatten)]
    pub database: Database,
    /// How many connections to the database at most; on PostgreSQL up to 4 more, one of them for readiness and the others for
    /// moments: size the limit of the role by N + 4. From 4 on, with one commit in flight, changes, look-ups, lists and
    /// changes that wait for locks each have their own [default: 2 for each core, at least 7]
    #[arg(long, env = "REDFLAG_DATABASE_CONNECTIONS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub database_connections: Option<u32>,
    /// How changes share commits.
    #[command(flatten)]
    pub commits: GroupCommit,
    /// Refuse to start on an older schema instead of migrating it
    #[arg(long, env = "REDFLAG_NO_MIGRATE", value_parser = BoolishValueParser::new())]
    pub no_migrate: bool,
    /// The first API key.
    #[command(flatten)]
    pub first_key: FirstKeySecret,
    /// A file that holds an Ed25519 private key in PEM, as `redflag audit keygen` writes it: redflag signs the events that it
    /// appends, and `redflag audit verify --public-key` finds those that somebody else appended who may write to the
    /// database [default: nothing is signed]
    #[arg(id = "audit-key-file", long = "audit-key-file", env = "REDFLAG_AUDIT_KEY_FILE", value_name = "FILE", value_parser = AuditKey::read)]
    pub audit_key: Option<AuditKey>,
    /// How long one call may take; a caller's own deadline may be shorter
    #[arg(long, env = "REDFLAG_REQUEST_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = parse_span)]
    pub request_timeout: Duration,
    /// The limits of connections.
    #[command(flatten)]
    pub connections: ConnectionLimits,
    /// The memory of answers.
    #[command(flatten)]
    pub answers: AnswerLimits,
    /// Answer gRPC reflection, which lists services and messages: to anybody, to callers with a valid key, or to nobody
    #[arg(long, env = "REDFLAG_REFLECTION", default_value = "open", value_name = "WHO", value_enum)]
    pub reflection: Reflection,
    /// How long to keep taking calls after health has turned NOT_SERVING, so that load balancers notice
    #[arg(long, env = "REDFLAG_SHUTDOWN_DELAY", default_value = "0s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub shutdown_delay: Duration,
    /// How long calls in flight may take to finish at shutdown; closing takes up to 5 s more
    #[arg(long, env = "REDFLAG_DRAIN_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,
    /// A web origin whose pages may call from a browser, such as `https://console.example.com`, or `*` for any; may be
    /// given several times, in the variable separated by commas [default: none]
    #[arg(long = "allow-origin", env = "REDFLAG_ALLOW_ORIGINS", value_delimiter = ',', value_name = "ORIGIN", value_parser = parse_origin)]
    pub allow_origins: Vec<HeaderValue>,
    /// Don't serve the page at `/docs`
    #[arg(long, env = "REDFLAG_NO_DOCS", value_parser = BoolishValueParser::new())]
    pub no_docs: bool,
}

impl Config {
    /// How many connections to the database there are at most: twice the cores unless set, for more make a database slower, and
    /// at least 7.
    pub fn database_connections(&self) -> u32 {
        self.database_connections.unwrap_or_else(|| {
            let cores = available_parallelism().map_or(1, NonZero::get);
            u32::try_from(2 * cores).unwrap_or(u32::MAX).max(7)
        })
    }

    /// The treatment of an older schema.
    pub const fn on_older(&self) -> OnOlderSchema {
        if self.no_migrate { OnOlderSchema::Refuse } else { OnOlderSchema::Migrate }
    }
}

impl Default for Config {
    /// The defaults, whatever the environment says.
    #[expect(clippy::expect_used, reason = "every setting has a default: the tests start servers with them")]
    fn default() -> Self {
        let command = Self::augment_args(Command::new("redflag").no_binary_name(true));
        let command = command.mut_args(|arg| arg.env(None::<&str>));
        let matches = command.try_get_matches_from(std::iter::empty::<&str>());
        let config = matches.and_then(|matches| Self::from_arg_matches(&matches));
        config.expect("every setting has a default")
    }
}
