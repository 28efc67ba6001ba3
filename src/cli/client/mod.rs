//! Verbs that call a server over the network, with a key.

mod colours;
mod connection;
mod escalate;
mod events;
mod exit;
mod flag;
mod get;
mod health;
mod list;
mod parse;
mod screen;
mod status;
mod times;
mod update;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use connection::Connection;

pub use exit::code as exit_code;

/// The verbs that call a server.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Flag a ledger entity at a server: make an alert
    ///
    /// With the --dedup-key of an alert that is not closed, the flag folds into that alert instead.
    #[command(after_help = EXIT_CODES)]
    Flag(flag::Flag),
    /// Show one alert
    #[command(after_help = EXIT_CODES)]
    Get(get::Get),
    /// List alerts, newest first
    ///
    /// Filters are combined with AND, the values of one filter with OR. Several values are given with commas, or the flag
    /// several times.
    #[command(after_help = EXIT_CODES)]
    List(list::List),
    /// Change fields of an alert
    ///
    /// Fields without a flag stay. Lists and metadata are replaced whole. A note alone is written into the history.
    #[command(after_help = EXIT_CODES)]
    Update(update::Update),
    /// Escalate an alert to people, and assign it to the first of them
    #[command(after_help = EXIT_CODES)]
    Escalate(escalate::Escalate),
    /// Show the history of an alert, oldest first
    #[command(after_help = EXIT_CODES)]
    Events(events::Events),
    /// List, make, change and delete the statuses of the key's organization
    #[command(subcommand, after_help = EXIT_CODES)]
    Status(status::Status),
    /// Check that a server serves: exit 0 only when it does, 1 otherwise
    ///
    /// Asks as load balancers do (grpc.health.v1), once and without a key: for probes of containers that have no shell.
    Health(health::Health),
}

/// The exit codes of client verbs, for their help.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 called wrongly, 3 not found, 4 refused by the server (an invalid
value, a conflict, a precondition), 5 not allowed (no key, a wrong one, or one that may not),
6 server unavailable, overloaded or too late; 130 interrupted, as shells report it.";

impl Verb {
    /// Runs the verb.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Flag(flag) => flag.run().await,
            Self::Get(get) => get.run().await,
            Self::List(list) => list.run().await,
            Self::Update(update) => update.run().await,
            Self::Escalate(escalate) => escalate.run().await,
            Self::Events(events) => events.run().await,
            Self::Status(status) => status.run().await,
            Self::Health(health) => health.run().await,
        }
    }
}

/// Flags of a change of an alert: its note and its idempotency key.
#[derive(Debug, Args)]
struct ChangeFlags {
    /// Why, for the history
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    idempotency: IdempotencyFlags,
}

/// The flag that makes a change safe to repeat.
#[derive(Debug, Args)]
struct IdempotencyFlags {
    /// Names this intended change: given again within 24 hours, it changes nothing and answers the same [default: a new name
    /// for each command]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,
}

/// The flag that refuses a change of an alert that others have changed meanwhile.
#[derive(Debug, Args)]
struct PreconditionFlags {
    /// Refuse when the alert no longer has this version [default: whatever it has]
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    expected_version: Option<i64>,
}

/// The most entries that one page holds.
const MAX_PAGE_SIZE: i32 = 1_000;

/// The format of the output.
#[derive(Debug, Args)]
struct Output {
    /// Print the same JSON as REST answers
    #[arg(long)]
    json: bool,
}
