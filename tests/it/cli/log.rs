//! Log lines, and calls that never wait for them.

use std::{process::Stdio, time::Duration};

use redflag::grpc::pb::{ListAlertsRequest, alert_service_client::AlertServiceClient};
use serde_json::Value;
use tokio::{io::AsyncBufReadExt, task::JoinSet};

use super::{Place, eventually};
use crate::support::{app::KEY, keyed, process::command, with_key};

/// The lines of a log in JSON.
fn lines(place: &Place) -> Vec<Value> {
    place.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn an_unread_log_does_not_block_calls() {
    let place = Place::new();
    // Standard error is a pipe that is held open and not read.
    let mut server = tokio::process::Command::from(command(&["serve", "--listen", "127.0.0.1:0"]))
        .env("REDFLAG_DATABASE_URL", place.database_url())
        .env("REDFLAG_BOOTSTRAP_KEY", KEY)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = tokio::io::BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).await.unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    let client = reqwest::Client::new();
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let (client, url) = (client.clone(), format!("{url}/alerts/ano_1"));
        callers.spawn(async move {
            for _ in 0..500 {
                let answer = client.get(&url).bearer_auth(KEY).send().await.unwrap();
                assert_eq!(answer.status(), 404);
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let healthy = client.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(healthy.status(), 200);
    let id = server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = tokio::time::timeout(Duration::from_mins(1), server.wait()).await;
    assert!(ended.expect("it ends although nobody reads its log").unwrap().success());
}

#[tokio::test]
async fn the_log_has_starts_stops_and_failures_but_no_probes() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY), ("REDFLAG_LOG_FORMAT", "json")], &[]);
    for path in ["/healthz", "/readyz", "/alerts/ano_1"] {
        reqwest::Client::new().get(server.url(path)).bearer_auth(KEY).send().await.unwrap();
    }
    let mut calls = AlertServiceClient::connect(server.url("")).await.unwrap();
    calls.list_alerts(with_key(ListAlertsRequest::default(), "wrong")).await.unwrap_err();
    calls.list_alerts(keyed(ListAlertsRequest::default())).await.unwrap();
    drop(calls);
    assert_eq!(server.stop("-TERM"), Some(0));
    let lines = lines(&place);
    let with = |name: &str, value: &str| lines.iter().find(|line| line[name] == value);
    let started = with("message", "started").unwrap();
    assert_eq!(
        (&started["database"], &started["version"]),
        (&"sqlite".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(with("message", "stopped").is_some());
    assert!(with("message", "gRPC").unwrap()["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(with("message", "HTTP").unwrap()["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(with("reason", "ALERT_NOT_FOUND").unwrap()["code"], 404);
    let refused = with("reason", "AUTH_INVALID_API_KEY").unwrap();
    assert_eq!(
        (&refused["path"], &refused["code"]),
        (&"/redflag.v1.AlertService/ListAlerts".into(), &16.into())
    );
    assert!(
        lines.iter().any(|line| line["message"] == "gRPC" && line["code"] == 0 && line["reason"].is_null())
    );
    assert!(!place.log().contains("healthz") && !place.log().contains("readyz"), "{}", place.log());
}

#[tokio::test]
async fn the_log_says_how_a_stream_ended() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    };
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY), ("REDFLAG_LOG_FORMAT", "json")], &[]);
    let channel = tonic::transport::Endpoint::new(server.url("")).unwrap().connect().await.unwrap();
    let mut client = ServerReflectionClient::new(channel);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    drop((answers, client));
    assert_eq!(server.stop("-TERM"), Some(0));
    let lines = lines(&place);
    let ended = lines.iter().find(|line| line["message"] == "a stream ended").unwrap();
    assert_eq!(ended["path"], "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    assert_eq!((&ended["code"], &ended["reason"]), (&0.into(), &Value::Null), "{ended}");
    assert!(ended["bytes"].as_u64().unwrap() > 50 && ended["request_id"].is_string(), "{ended}");
}

#[tokio::test]
async fn log_lines_of_calls_without_a_key_are_limited() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY), ("REDFLAG_LOG_FORMAT", "json")], &[]);
    let client = reqwest::Client::new();
    let mut left_out = 0;
    eventually("some lines are left out and counted", async || {
        let mut calls = JoinSet::new();
        for _ in 0..400 {
            calls.spawn(client.get(server.url("/nowhere")).send());
        }
        while let Some(answer) = calls.join_next().await {
            assert_eq!(answer.unwrap().unwrap().status(), 404);
        }
        left_out = lines(&place).iter().filter_map(|line| line["count"].as_u64()).sum();
        left_out > 0
    })
    .await;
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(place.log().contains("more calls without a valid key"));
}

#[tokio::test]
async fn an_unknown_method_is_not_logged() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY), ("REDFLAG_LOG_FORMAT", "json")], &[]);
    let request = reqwest::Client::new().post(server.url("/redflag.v1.AlertService/%C2%9B31m-Odd"));
    request.header("content-type", "application/grpc").bearer_auth(KEY).send().await.unwrap();
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(lines(&place).iter().any(|line| line["path"] == "(no method)"), "{}", place.log());
    assert!(!place.log().contains("Odd"));
}

#[tokio::test]
async fn secrets_come_from_files_or_with_a_warning_from_the_command_line() {
    let place = Place::new();
    let file = place.folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY_FILE", file.to_str().unwrap())], &["--no-docs"]);
    assert_eq!(server.list_with(KEY).await, 200);
    assert_eq!(reqwest::get(server.url("/docs/")).await.unwrap().status(), 404);
    assert_eq!(reqwest::get(server.url("/openapi.json")).await.unwrap().status(), 200);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(!place.log().contains("on the command line") && !place.log().contains(KEY));
    let server = place.serve(&[], &["--bootstrap-key", KEY]);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(place.log().contains("--bootstrap-key holds a secret on the command line"), "{}", place.log());
    assert!(!place.log().contains(KEY));
}

#[test]
fn bad_keys_and_origins_are_refused() {
    let even = "a".repeat(32);
    for (variable, value, message) in [
        ("REDFLAG_BOOTSTRAP_KEY", even.as_str(), "must hold at least 8 different characters, has 1"),
        ("REDFLAG_BOOTSTRAP_KEY_FILE", "/nowhere/key", "--bootstrap-key-file"),
        ("REDFLAG_ALLOW_ORIGINS", "http://*.example", "without a path or wildcard"),
    ] {
        let output = command(&["serve"]).env(variable, value).output().unwrap();
        let (code, line) = super::failure_of(&output);
        assert!(code == Some(2) && line.contains(message) && !line.contains(&even), "{variable}: {line}");
    }
}
