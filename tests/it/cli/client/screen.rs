//! Output on a terminal, and in a pipe for scripts.

use std::process::Command;

use super::{Place, text};
use crate::support::{DatabaseKind, app::KEY};

/// Runs a command on a terminal of that width, and returns its output.
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

fn without_colours(printed: &str) -> String {
    let pieces = printed.split("\u{1b}[").enumerate();
    pieces.map(|(at, piece)| if at == 0 { piece } else { piece.split_once('m').unwrap().1 }).collect()
}

#[tokio::test]
async fn a_terminal_gets_colours_and_relative_times_that_fit() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    place.printed(&["status", "create", "--name", "Odd", "--colour", "#3B82F6"]);
    let title = "A title of many\u{200f} words that does not fit into one line of a terminal";
    let flag =
        ["flag", "bln_1", "--description", "d", "--title", title, "--severity", "high", "--status", "odd"];
    let id = place.json(&flag)["anomaly_id"].as_str().unwrap().to_owned();
    for columns in [40, 80, 100, 200] {
        let printed = on_terminal(&place, columns, &[], "list");
        assert!(printed.contains("\u{1b}[38;2;59;130;246m"), "{printed:?}");
        let plain = without_colours(&printed);
        let widest = plain.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns).max(50), "{columns}: {widest}");
        assert!(plain.contains(&id) && !plain.contains('\u{200f}'), "{plain}");
        assert_eq!(plain.contains("ASSIGNED_TO"), columns >= 100, "{plain}");
    }
    let printed = without_colours(&on_terminal(&place, 120, &[], "list"));
    assert!(printed.contains("just now") || printed.contains(" s ago"), "{printed}");
    let printed = on_terminal(&place, 120, &[("NO_COLOR", "1")], &format!("get {id}"));
    assert!(!printed.contains('\u{1b}') && printed.contains(&id), "{printed}");
}

#[tokio::test]
async fn output_to_a_pipe_has_plain_columns() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    // A bidirectional control character, which the server accepts.
    let flag =
        ["flag", "bln_1", "--title", "a\tb\u{200f}c", "--description", "one\ntwo", "--assigned-to", ""];
    let alert = place.json(&flag);
    let (id, at) = (alert["anomaly_id"].as_str().unwrap(), alert["created_at"].as_str().unwrap());
    let printed = place.printed(&["list"]);
    let lines: Vec<_> = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[1], [id, "FLAGGED", "-", "Balance", "-", at, "a", "b", "c"]);
    let printed = place.printed(&["get", id]);
    assert!(printed.contains("one two") && printed.contains(at), "{printed}");
    assert!(!printed.contains(['\t', '\u{1b}', '\u{200f}']), "{printed}");
    place.printed(&["update", id, "--severity", "low", "--note", "line\nfeed", "--actor", "ana"]);
    let printed = place.printed(&["events", id]);
    let last: Vec<_> =
        printed.lines().last().unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        (last[1], last[3..].to_vec()),
        ("UPDATED", vec!["ana (key bootstrap)", "severity: - → low", "line feed"])
    );
}
