//! `redflag health`, and `redflag completions`.

use std::net::TcpListener;

use super::super::{Place, eventually, failure, run, text};
use crate::support::app::KEY;

#[tokio::test]
async fn health_is_an_exit_code() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &["--shutdown-delay", "20s"]);
    let url = server.url("");
    for args in [vec![], vec!["--service", "redflag.v1.AlertService"], vec!["--timeout", "5s"]] {
        let output = run(&[&["health", "--server", &url], args.as_slice()].concat());
        let printed = (output.status.code(), text(&output.stdout), text(&output.stderr));
        assert_eq!(printed, (Some(0), "SERVING\n", ""), "{args:?}");
    }
    let (code, line) = failure(&["health", "--server", &url, "--service", "other"]);
    assert!(code == Some(1) && line.starts_with("service not registered"), "{line}");

    let id = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    eventually("it no longer serves", async || {
        let output = run(&["health", "--server", &url]);
        let printed = (output.status.code(), text(&output.stdout), text(&output.stderr));
        printed == (Some(1), "", "redflag: the server is NOT_SERVING\n")
    })
    .await;
}

#[test]
fn an_unreachable_server_is_unhealthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = failure(&["health", "--server", &url, "--timeout", "300ms"]);
    assert_eq!(silent, (Some(1), "no answer came within 300ms".to_owned()));
    drop(listener);
    let (code, line) = failure(&["health", "--server", &url]);
    assert!(code == Some(1) && line.starts_with("can't reach the server: "), "{line}");
    assert_eq!(failure(&["health", "--server", "nonsense"]).0, Some(2));
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        let script = text(&output.stdout);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        assert!(script.contains("escalate") && script.contains("expected-version"), "{shell}");
    }
    assert_eq!(failure(&["completions", "cmd"]).0, Some(2));
}
