//! Errors of commands: one line, exit code 2 for a wrong call and 1 for a failure.

use std::net::TcpListener;

use super::{Place, failure, failure_of, run, text};
use crate::support::{DatabaseKind, TestDatabase, process::command};

#[test]
fn a_wrong_call_prints_one_line_and_exits_with_2() {
    for (args, message) in [
        (vec![], "a command is missing (see --help)"),
        (vec!["srve"], "unrecognized subcommand 'srve'"),
        (vec!["serve", "--prot", "1"], "unexpected argument '--prot' found"),
        (vec!["serve", "--request-timeout", "soon"], "invalid value 'soon' for '--request-timeout <TIME>'"),
        (vec!["serve", "--database-connections", "0"], "invalid value '0' for '--database-connections <N>'"),
        (
            vec!["serve", "--allow-origin", "example.com"],
            "invalid value 'example.com' for '--allow-origin <ORIGIN>'",
        ),
        (vec!["serve", "--database-url", "mysql://user:secret@host/x"], "invalid value for --database-url: "),
        (vec!["migrate", "--database-url", "redflag.db"], "invalid value for --database-url: "),
        (vec!["serve", "--log", "a=b=c"], "invalid value for --log: "),
        (vec!["serve", "--log-format", "xml"], "invalid value 'xml' for '--log-format <FORMAT>'"),
        (vec!["key"], "a command is missing (see --help)"),
        (
            vec!["key", "create", "--name", "n", "--owner", "o"],
            "the following required arguments were not provided: --scope <SCOPE>",
        ),
        (vec!["key", "create", "--expires-in", "never"], "invalid value 'never' for '--expires-in <TIME>'"),
        (
            vec!["key", "create", "--name", "n", "--owner", "o", "--scope", "everything"],
            "invalid value 'everything' for '--scope <SCOPE>': must be one of alerts:read, ",
        ),
        (vec!["org", "create", "--name", "\n\u{1}"], "invalid value "),
        (vec!["serve", "--listen", "nonsense"], "invalid value 'nonsense' for '--listen <ADDRESS>'"),
        (
            vec!["serve", "--listen", "127.0.0.1:99999"],
            "invalid value '127.0.0.1:99999' for '--listen <ADDRESS>'",
        ),
        (vec!["serve", "--request-timeout", "0s"], "invalid value '0s' for '--request-timeout <TIME>'"),
        (vec!["serve", "--database-url", "sqlite:"], "invalid value for --database-url: "),
        (vec!["key", "revoke"], "the following required arguments were not provided: <KEY_ID>"),
    ] {
        let (code, line) = failure(&args);
        assert!(line.starts_with(message), "{args:?}: {line}");
        assert_eq!(code, Some(2), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn a_refused_secret_is_not_repeated() {
    let (code, line) = failure_of(
        &command(&["serve"]).env("REDFLAG_BOOTSTRAP_KEY", "too-short-to-be-one").output().unwrap(),
    );
    assert_eq!(code, Some(2));
    assert!(line.contains("must be 32 to 200 characters, is 19") && !line.contains("too-short"), "{line}");
    let (code, line) = failure(&["serve", "--bootstrap-key", "also-too-short"]);
    assert!(code == Some(2) && !line.contains("also-too-short"), "{line}");
}

#[test]
fn a_failure_prints_one_line_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let place = Place::new();
    let (fresh, nowhere) = (place.database_url(), "postgres://user:secret@127.0.0.1:1/x");
    for (args, message) in [
        (vec!["serve", "--listen", &taken, "--database-url", &fresh], format!("can't listen on {taken}: ")),
        (
            vec!["serve", "--listen", "127.0.0.1:0", "--database-url", nowhere],
            "can't open the database: ".to_owned(),
        ),
        (vec!["migrate", "--database-url", nowhere], "can't open the database: ".to_owned()),
        (
            vec!["key", "list", "--database-url", "sqlite:/nowhere/at/all.db"],
            "there is no database at /nowhere/at/all.db (--database-url, REDFLAG_DATABASE_URL)".to_owned(),
        ),
        (
            vec!["serve", "--listen", "127.0.0.1:0", "--no-migrate", "--database-url", &fresh],
            "the database's schema is version 0, this redflag needs ".to_owned(),
        ),
        (
            vec!["key", "create", "--name", "n", "--owner", "o", "--scope", "*", "--database-url", &fresh],
            "there is no database at /".to_owned(),
        ),
        (vec!["key", "revoke", "key_1", "--database-url", &fresh], "there is no database at /".to_owned()),
    ] {
        let (code, line) = failure(&args);
        assert!(line.starts_with(&message), "{args:?}: {line}");
        assert_eq!(code, Some(1), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    assert!(run(&["migrate", "--database-url", database.url()]).status.success());
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'from the future', true, '', 0)";
    database.execute(newer).await;
    for verb in [
        vec!["serve", "--listen", "127.0.0.1:0"],
        vec!["migrate"],
        vec!["key", "list"],
        vec!["migrate", "--check"],
    ] {
        let (code, line) = failure(&[verb.as_slice(), &["--database-url", database.url()]].concat());
        assert!(line.starts_with("the database's schema is version 99, "), "{line}");
        assert_eq!(code, Some(1));
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let url = place.database_url();
    place.make_database();
    for args in [
        vec!["org", "create", "--name", "one"],
        vec!["key", "list"],
        vec!["org", "list", "--json"],
        vec!["openapi"],
        vec!["--help"],
        vec!["cli-reference"],
    ] {
        let mut command = command(&args);
        let child = command
            .env("REDFLAG_DATABASE_URL", &url)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let place = Place::new();
    let empty = [
        "REDFLAG_BOOTSTRAP_KEY",
        "REDFLAG_ALLOW_ORIGINS",
        "REDFLAG_NO_MIGRATE",
        "REDFLAG_REQUEST_TIMEOUT",
        "REDFLAG_DATABASE_CONNECTIONS",
        "REDFLAG_LOG_FORMAT",
    ];
    let mut command = command(&["migrate", "--database-url", &place.database_url()]);
    assert!(command.envs(empty.map(|name| (name, ""))).status().unwrap().success());
    // `serve`, which reads all variables, fails only for its address.
    let mut command = command_of_serve(&place);
    let (code, line) = failure_of(&command.envs(empty.map(|name| (name, ""))).output().unwrap());
    assert!(code == Some(1) && line.starts_with("can't listen on "), "{line}");
}

/// Runs `serve` on an address that can't be bound.
fn command_of_serve(place: &Place) -> std::process::Command {
    command(&["serve", "--listen", "203.0.113.1:1", "--database-url", &place.database_url()])
}

#[test]
fn the_first_key_is_shown_even_when_standard_output_is_closed() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--database-url", &place.database_url()]);
    let mut child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("rf_") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut stderr, &mut line).unwrap(), 0, "no key was shown");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
