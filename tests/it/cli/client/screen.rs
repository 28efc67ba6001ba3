//! What people see on a terminal, and scripts elsewhere.

use std::process::Command;

use super::{Place, text};
use crate::support::{DatabaseKind, app::KEY};

/// What a command prints on a terminal of that width.
fn on_terminal(place: &Place, columns: u16, variables: &[(&str, &str)], args: &str) -> String {
    let line = format!("stty cols {columns}; {} {args}", env!("CARGO_BIN_EXE_redflag"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env_remove("NO_COLOR").env("TERM", "xterm-256color");
    script.env("REDFLAG_SERVER", place.server.url()).env("REDFLAG_API_KEY", KEY);
    let output = script.envs(variables.iter().copied()).output().expect("script runs");
    assert!(output.status.success(), "{}", text(&output.stdout));
    text(&output.stdout).replace('\r', "")
}

fn without_colours(told: &str) -> String {
    let pieces = told.split("\u{1b}[").enumerate();
    pieces.map(|(at, piece)| if at == 0 { piece } else { piece.split_once('m').unwrap().1 }).collect()
}

#[tokio::test]
async fn a_terminal_gets_colours_and_relative_times_that_fit() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    place.told(&["status", "create", "--name", "Odd", "--colour", "#3B82F6"]);
    let title = "A title of many\u{200f} words that does not fit into one line of a terminal";
    let flag =
        ["flag", "bln_1", "--description", "d", "--title", title, "--severity", "high", "--status", "odd"];
    let id = place.json(&flag)["anomaly_id"].as_str().unwrap().to_owned();
    for columns in [40, 80, 100, 200] {
        let told = on_terminal(&place, columns, &[], "list");
        assert!(told.contains("\u{1b}[38;2;59;130;246m"), "{told:?}");
        let plain = without_colours(&told);
        let widest = plain.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns).max(50), "{columns}: {widest}");
        assert!(plain.contains(&id) && !plain.contains('\u{200f}'), "{plain}");
        assert_eq!(plain.contains("ASSIGNED_TO"), columns >= 100, "{plain}");
    }
    let told = without_colours(&on_terminal(&place, 120, &[], "list"));
    assert!(told.contains("just now") || told.contains(" s ago"), "{told}");
    let told = on_terminal(&place, 120, &[("NO_COLOR", "1")], &format!("get {id}"));
    assert!(!told.contains('\u{1b}') && told.contains(&id), "{told}");
}

#[tokio::test]
async fn elsewhere_there_are_plain_columns() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    // A mark that turns the direction of text around, which the server lets pass.
    let flag =
        ["flag", "bln_1", "--title", "a\tb\u{200f}c", "--description", "one\ntwo", "--assigned-to", ""];
    let alert = place.json(&flag);
    let (id, at) = (alert["anomaly_id"].as_str().unwrap(), alert["created_at"].as_str().unwrap());
    let told = place.told(&["list"]);
    let lines: Vec<_> = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[1], [id, "FLAGGED", "-", "Balance", "-", at, "a", "b", "c"]);
    let told = place.told(&["get", id]);
    assert!(told.contains("one two") && told.contains(at), "{told}");
    assert!(!told.contains(['\t', '\u{1b}', '\u{200f}']), "{told}");
    place.told(&["update", id, "--severity", "low", "--note", "line\nfeed", "--actor", "ana"]);
    let told = place.told(&["events", id]);
    let last: Vec<_> =
        told.lines().last().unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        (last[1], last[3..].to_vec()),
        ("UPDATED", vec!["ana (key bootstrap)", "severity: - → low", "line feed"])
    );
}
