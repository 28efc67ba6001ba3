//! `redflag serve`: signals, variables and the reference page.

use std::fs;

use rstest::rstest;
use serde_json::json;

use super::{Place, run, text};
use crate::support::{app::KEY, outage};

#[rstest]
#[case::terminated("-TERM")]
#[case::interrupted("-INT")]
#[tokio::test]
async fn a_signal_stops_the_server_gracefully(#[case] signal: &str) {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    assert_eq!(server.list_with(KEY).await, 200);
    assert_eq!(server.stop(signal), Some(0));
}

#[tokio::test]
async fn every_flag_can_be_given_as_a_variable() {
    let place = Place::new();
    let server = place.serve(
        &[
            ("REDFLAG_BOOTSTRAP_KEY", KEY),
            ("REDFLAG_DATABASE_CONNECTIONS", "2"),
            ("REDFLAG_NO_MIGRATE", "false"),
            ("REDFLAG_REQUEST_TIMEOUT", "100ms"),
            ("REDFLAG_SHUTDOWN_DELAY", "0s"),
            ("REDFLAG_DRAIN_TIMEOUT", "5s"),
            ("REDFLAG_ALLOW_ORIGINS", "https://a.example,https://b.example"),
            ("REDFLAG_LOG", "info"),
            ("REDFLAG_LOG_FORMAT", "json"),
        ],
        &[],
    );
    let held = outage::hold_writes(&place.database_url()).await;
    let request = reqwest::Client::new().post(server.url("/alerts/flag/bln_1"));
    let request = request.header("origin", "https://b.example").bearer_auth(KEY);
    let answer = request.json(&json!({ "description": "d" })).send().await.unwrap();
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://b.example");
    held.release().await;
    assert_eq!(server.stop("-TERM"), Some(0));
    let log = place.log();
    assert!(log.lines().any(|line| line.starts_with('{') && line.contains("\"code\":504")), "{log}");
}

#[test]
fn a_bad_value_of_a_variable_is_refused() {
    for (variable, value, flag) in [
        ("REDFLAG_DATABASE_CONNECTIONS", "many", "--database-connections"),
        ("REDFLAG_NO_MIGRATE", "perhaps", "--no-migrate"),
        ("REDFLAG_BOOTSTRAP_KEY", "short", "--bootstrap-key"),
        ("REDFLAG_REQUEST_TIMEOUT", "soon", "--request-timeout"),
        ("REDFLAG_SHUTDOWN_DELAY", "soon", "--shutdown-delay"),
        ("REDFLAG_DRAIN_TIMEOUT", "soon", "--drain-timeout"),
        ("REDFLAG_ALLOW_ORIGINS", "https://a.example,b.example", "--allow-origin"),
        ("REDFLAG_DATABASE_URL", "mysql://host", "--database-url"),
        ("REDFLAG_LOG", "a=b=c", "--log"),
        ("REDFLAG_LOG_FORMAT", "xml", "--log-format"),
    ] {
        let output = crate::support::process::command(&["serve"]).env(variable, value).output().unwrap();
        let (code, line) = super::failure_of(&output);
        assert!(code == Some(2) && line.contains(flag), "{variable}: {line}");
    }
}

#[test]
fn every_flag_of_serve_names_its_variable() {
    let help = run(&["serve", "--help"]);
    let help = text(&help.stdout);
    let flags = help.split("\n      --").skip(1);
    for flag in flags.filter(|flag| !flag.starts_with("help")) {
        assert!(flag.contains("[env: REDFLAG_"), "--{flag}");
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    let made = run(&["cli-reference"]);
    assert!(text(&made.stdout) == page, "docs/cli.md is out of date: run `make cli-reference`");
}

#[tokio::test]
async fn a_database_in_memory_serves_for_trials() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &["--database-url", "sqlite::memory:"]);
    assert_eq!(server.list_with(KEY).await, 200);
    assert!(place.database_bytes().is_empty());
    assert_eq!(server.stop("-TERM"), Some(0));
}
