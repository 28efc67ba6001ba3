//! Exit codes of failures of client verbs.

use std::{
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::Duration,
};

use rstest::rstest;

use super::{Place, text};
use crate::support::{DatabaseKind, app::KEY, process::command};

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    let id = place.flagged("bln_1");
    for (code, args, message) in [
        (3, vec!["get", "ano_1"], "there is no such alert (ALERT_NOT_FOUND, request id "),
        (3, vec!["events", "ano_1"], "there is no such alert (ALERT_NOT_FOUND, request id "),
        (3, vec!["status", "delete", "NONE"], "there is no such status (STATUS_NOT_FOUND, request id "),
        (4, vec!["flag", "acc_1", "--description", "d"], "entity_id must begin with bln_, "),
        (4, vec!["list", "--status", "NONE"], ""),
        (4, vec!["update", &id, "--title", "t", "--expected-version", "9"], ""),
        (4, vec!["status", "delete", "FLAGGED"], ""),
        (4, vec!["status", "create", "--name", "Resolved", "--colour", "#3B82F6"], ""),
        (2, vec!["update", &id], "nothing to change was given (see --help)"),
        (2, vec!["status", "update", "FLAGGED"], "the following required arguments were not provided: "),
        (
            2,
            vec!["flag", "bln_1"],
            "the following required arguments were not provided: --description <TEXT|->",
        ),
        (
            2,
            vec!["list", "--severity", "bad"],
            "invalid value 'bad' for '--severity <SEVERITY>': must be one of low, ",
        ),
        (2, vec!["list", "--limit", "1", "--all"], "the argument '--limit <N>' cannot be used with '--all'"),
        (2, vec!["list", "--created-after", "noon"], "invalid value 'noon' for '--created-after <TIME>'"),
        (2, vec!["list", "--server", "localhost:1"], "invalid value 'localhost:1' for '--server <URL>'"),
        (2, vec!["list", "--server", "http://u:secret@host"], "invalid value '…' for '--server <URL>'"),
        (2, vec!["list", "--timeout", "0s"], "invalid value '0s' for '--timeout <TIME>'"),
        (
            2,
            vec!["flag", "bln_1", "--description", "d", "--metadata", "[]"],
            "invalid value '[]' for '--metadata <JSON>'",
        ),
    ] {
        let (exit, line) = place.failure(&args);
        assert_eq!(exit, Some(code), "{args:?}: {line}");
        assert!(line.starts_with(message), "{args:?}: {line}");
    }
}

#[tokio::test]
async fn a_missing_or_invalid_key_is_an_error() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    for (key, message) in [
        ("", "there is no API key: set REDFLAG_API_KEY or give --api-key-file FILE"),
        ("rf_wrong", "the API key is not valid (AUTH_INVALID_API_KEY, request id "),
        ("rf_not\none", "the API key must hold only visible ASCII characters"),
    ] {
        let output = place.command(&["list"]).env("REDFLAG_API_KEY", key).output().unwrap();
        let (code, line) = super::super::failure_of(&output);
        assert!(code == Some(5) && line.starts_with(message), "{line}");
        assert!(!line.contains("rf_"), "{line}");
    }
}

/// Makes a command that lists alerts at `server`.
fn list_at(server: &str) -> Command {
    let mut command = command(&["list", "--server", server, "--timeout", "700ms"]);
    command.env("REDFLAG_API_KEY", KEY);
    command
}

#[test]
fn an_unreachable_or_silent_server_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let (code, line) = super::super::failure_of(&list_at(&silent).output().unwrap());
    assert_eq!((code, line.as_str()), (Some(6), "no answer came within 700ms"));
    drop(listener);
    let (code, line) = super::super::failure_of(&list_at(&silent).output().unwrap());
    assert!(code == Some(6) && line.starts_with("can't reach the server: Connection refused"), "{line}");
    // The server does not speak TLS.
    let secure = silent.replace("http:", "https:");
    let (code, line) = super::super::failure_of(&list_at(&secure).output().unwrap());
    assert!(code == Some(6) && line.starts_with("can't reach the server: "), "{line}");
}

#[test]
fn an_interrupt_ends_a_command_silently() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let list = command(&["list", "--server", &silent]);
    // Background jobs ignore interrupts, and so do their children.
    let mut heedful = Command::new("/usr/bin/env");
    heedful.arg("--default-signal=INT").arg(list.get_program()).args(list.get_args());
    heedful.env_clear().env("REDFLAG_API_KEY", KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = heedful.spawn().unwrap();
    // The command has connected.
    let connection = listener.accept().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(connection);
    // Shells report this as 130.
    assert_eq!((output.status.signal(), text(&output.stdout), text(&output.stderr)), (Some(2), "", ""));
}

#[tokio::test]
async fn a_closed_pipe_is_no_error_and_nothing_is_logged() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    let id = place.flagged("bln_1");
    for args in [vec!["list"], vec!["list", "--json"], vec!["get", &id], vec!["completions", "bash"]] {
        let mut command = place.command(&args);
        let command = command.env("REDFLAG_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        if args[0] != "completions" {
            assert_eq!(text(&output.stderr), "", "{args:?}");
        }
    }
    let output = place.run(&["list", "--log", "debug"]);
    assert!(output.status.success() && !output.stderr.is_empty());
    assert!(!text(&output.stderr).contains(KEY));
}
