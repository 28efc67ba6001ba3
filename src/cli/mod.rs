//! The command line: verbs on a database (`serve`, `migrate`, `org …`, `key …`, `audit …`), verbs on a server (`client/`),
//! and verbs about redflag itself (`openapi`, `completions`).

mod api_reference;
mod audit;
mod backup;
mod client;
mod completions;
mod database;
mod key;
mod migrate;
mod openapi;
mod org;
mod output;
mod reference;
mod restore;
mod serve;
mod verified;

use std::{ffi::OsString, io, process::ExitCode};

use clap::{
    Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use self::database::Database;
use crate::{
    config::BOOTSTRAP_KEY,
    store::schema::OpenError,
    telemetry::{self, LogFormat},
};

/// The exit code of a wrong call, and of nothing else.
const USAGE: u8 = 2;

/// The self-hosted alerts service for ledgers: gRPC and REST, on SQLite or PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "redflag", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    log: Log,
}

const EXAMPLES: &str = "\
Examples:
  redflag serve                                             on the embedded database redflag.db
  redflag serve --database-url postgres://user@host/alerts  on PostgreSQL
  redflag key create --name payments --owner ops --scope alerts:read --scope alerts:write
  redflag audit verify                                      that nothing was tampered with
  redflag flag bln_1 --description 'Limit exceeded'         at REDFLAG_SERVER, with REDFLAG_API_KEY
  redflag list --status-class open --severity high,critical
  source <(redflag completions bash)

Exit codes: 0 done, 1 failed, 2 called wrongly. Commands that call a server also: 3 not found,
4 refused, 5 not allowed, 6 server unavailable (see `redflag get --help`).";

#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
struct Log {
    /// The log filter: a level (error, warn, info, debug, trace) or targets with levels, such as `info,sqlx=warn`; commands
    /// that call a server log only when this flag is given
    #[arg(long, env = "REDFLAG_LOG", default_value = "info", global = true, value_name = "FILTER")]
    log: String,
    /// The format of log lines, which go to standard error; `auto` is pretty on a terminal and JSON elsewhere
    #[arg(long, env = "REDFLAG_LOG_FORMAT", default_value = "auto", global = true, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the service
    Serve(serve::Serve),
    /// Bring the database's schema up to date
    Migrate(migrate::Migrate),
    /// Make, change and list organizations, the tenants
    #[command(subcommand)]
    Org(org::Org),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Prove that the history is complete and unchanged, or export it
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Write a verified copy of an SQLite database to a file, also while a server runs
    Backup(backup::Backup),
    /// Put a verified copy of a backup in the place of an SQLite database, while no server runs
    Restore(restore::Restore),
    #[command(flatten)]
    Client(Box<client::Verb>),
    /// Print a script that completes commands and flags in a shell
    Completions(completions::Completions),
    /// Print the OpenAPI document of the REST face
    Openapi,
    /// Print the reference of the gRPC contract as Markdown
    #[command(hide = true)]
    ApiReference,
    /// Print this reference as Markdown
    #[command(hide = true)]
    CliReference,
}

/// Runs the command line `args` and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = without_empty_variables(Cli::command());
    let parsed = command.try_get_matches_from(args).and_then(|matches| {
        let is_log_asked_for = is_typed(&matches, "log");
        let exposed = exposed_secrets(&matches);
        Ok((Cli::from_arg_matches(&matches)?, is_log_asked_for, exposed))
    });
    let (mut cli, is_log_asked_for, exposed) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&without_secret(error)),
    };
    if let Verb::Serve(serve) = &mut cli.verb {
        serve.exposed = exposed;
    }
    // Verbs on a server log only on request: REDFLAG_LOG may be set for a server on the same machine.
    let is_logged = is_log_asked_for || !matches!(cli.verb, Verb::Client(_));
    let log = is_logged.then(|| telemetry::init(&cli.log.log, cli.log.log_format)).transpose();
    let _log = match log {
        Ok(guard) => guard,
        Err(error) => return fail(USAGE, &format!("invalid value for --log: {error}")),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("can't start: {error}")),
    };
    match runtime.block_on(cli.verb.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(OpenError::Url(_))) => {
            fail(USAGE, &format!("invalid value for --database-url: {error:#}"))
        }
        Err(error) => fail(client::exit_code(&error).unwrap_or(1), &format!("{error:#}")),
    }
}

/// Returns true for a flag on the command line, as opposed to a variable or a default.
fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    let source = matches.try_contains_id(id).is_ok().then(|| matches.value_source(id)).flatten();
    source == Some(ValueSource::CommandLine)
}

/// Lists the flags that hold a secret on the command line.
fn exposed_secrets(matches: &ArgMatches) -> Vec<&'static str> {
    let mut exposed = Vec::new();
    let verbs = std::iter::successors(Some(matches), |matches| matches.subcommand().map(|(_, verb)| verb));
    for matches in verbs {
        if is_typed(matches, "bootstrap_key") {
            exposed.push(BOOTSTRAP_KEY);
        }
        let url = is_typed(matches, "database_url").then(|| matches.get_one::<String>("database_url"));
        if url.flatten().is_some_and(|url| holds_password(url)) {
            exposed.push("--database-url");
        }
    }
    exposed
}

/// Returns true for a URL with a password before its host, or as one of its parameters.
fn holds_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let in_place = place.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_place || parameters.split('&').any(|parameter| parameter.starts_with("password="))
}

impl Verb {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Serve(serve) => serve.run().await,
            Self::Migrate(migrate) => migrate.run().await,
            Self::Org(org) => org.run().await,
            Self::Key(key) => key.run().await,
            Self::Audit(audit) => audit.run().await,
            Self::Backup(backup) => backup.run().await,
            Self::Restore(restore) => restore.run().await,
            Self::Client(verb) => verb.run().await,
            Self::Completions(completions) => completions.run(Cli::command()),
            Self::Openapi => openapi::run(),
            Self::ApiReference => api_reference::run(),
            Self::CliReference => reference::run(Cli::command()),
        }
    }
}

/// Makes variables that are set but empty count as not set: deployments often leave them so.
fn without_empty_variables(command: Command) -> Command {
    let reset_if_empty = |arg: Arg| match arg.get_env().and_then(std::env::var_os) {
        Some(value) if value.is_empty() => arg.env(Resettable::Reset),
        _ => arg,
    };
    command.mut_args(reset_if_empty).mut_subcommands(without_empty_variables)
}

/// Prints help and versions as they are, and mistakes in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return fail(USAGE, "a command is missing (see --help)");
    }
    if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let text = error.to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
        let message = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let message =
            message.trim_start_matches("error: ").replace(" For more information, try '--help'.", "");
        return fail(USAGE, &format!("{message} (see --help)"));
    }
    match error.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Removes the value of a refused secret from the error.
fn without_secret(mut error: clap::Error) -> clap::Error {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let value = error.get(ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
    // A URL with an @ may hold a password before it.
    if argument.starts_with(BOOTSTRAP_KEY) || value.contains('@') {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    error
}

fn fail(code: u8, message: &str) -> ExitCode {
    output::error(message);
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_found() {
        for url in ["postgres://ana:secret@host/alerts", "postgres://ana@host/alerts?a=b&password=secret"] {
            assert!(holds_password(url), "{url}");
        }
        for url in ["postgres://ana@host:5432/alerts?sslmode=require", "sqlite:a@b:c.db", "sqlite::memory:"] {
            assert!(!holds_password(url), "{url}");
        }
    }
}
