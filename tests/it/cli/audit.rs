//! Verification of the history by `redflag audit`, and by a verifier that shares no code with it.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use redflag::domain::{ChainHash, canonical::canonical};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Connection, SqliteConnection};

use super::{Place, Server, failure, json_of, run, text};
use crate::support::app::KEY;

pub const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Values whose canonical form is easy to get wrong: numbers in each notation, names that sort otherwise by code point
/// than by UTF-16 unit, and text that needs escapes.
fn odd_metadata() -> Value {
    json!({
        "numbers": [1e-7, 0.1, -5, 1000.5, 0.000_001, -0.0, 5e-324, 1.5e-9, 123_456.789, 9_007_199_254_740_991_i64],
        "é": 1, "😀": 2, "\u{fb33}": 3, "\u{20ac}": 4, "a": { "": null, "😀": [true, false], "\u{fb33}": [] },
        "text": "tab\t newline\n quote\" backslash\\ slash/ \u{2028} 😀",
    })
}

/// Calls a path and gives the answer.
pub(super) async fn call(server: &Server, method: Method, path: &str, body: Value) -> Value {
    let request = reqwest::Client::new().request(method, server.url(path)).bearer_auth(KEY);
    let answer = request.header("x-redflag-actor", "ana").json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// Makes a database of six events through a server.
async fn filled() -> Place {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    let flag = json!({ "description": "d", "metadata": odd_metadata(), "dedup_key": "é\t😀" });
    let alert = call(&server, Method::POST, "/alerts/flag/bln_1", flag.clone()).await;
    call(&server, Method::POST, "/alerts/flag/bln_2", flag).await;
    let path = format!("/alerts/flag/{}", alert["anomaly_id"].as_str().unwrap());
    let closing = json!({
        "status": "RESOLVED", "disposition": "BENIGN", "disposition_reason": "\\\"\n\t", "metadata": { "n": 2.5e-8 },
    });
    for body in [json!({ "note": "Only\ta note\u{202e}\u{2028}" }), json!({ "severity": "high" }), closing] {
        call(&server, Method::PUT, &path, body).await;
    }
    call(&server, Method::POST, "/alerts/flag/txn_1", json!({ "description": "another" })).await;
    assert_eq!(server.stop("-TERM"), Some(0));
    place
}

/// Returns the line that a successful command prints.
fn line(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{args:?}");
    text(&output.stdout).to_owned()
}

/// Runs the verifier on `feed`.
pub fn verifier(args: &[&str], feed: &str) -> Output {
    verifier_by(&[], args, feed)
}

/// Runs the verifier with options of Python.
pub fn verifier_by(options: &[&str], args: &[&str], feed: &str) -> Output {
    let script = format!("{DOCS}/verify_feed.py");
    let mut python = Command::new("python3");
    python
        .args(options)
        .arg(script)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = python.spawn().expect("python3 is there: `make test` installs it");
    let mut input = child.stdin.take().unwrap();
    // The verifier stops reading at the first error.
    let _ = input.write_all(feed.as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

fn accepted(args: &[&str], feed: &str) -> String {
    let output = verifier(args, feed);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    text(&output.stdout).to_owned()
}

fn refused(args: &[&str], feed: &str) -> String {
    let output = verifier(args, feed);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    text(&output.stderr).trim_end().to_owned()
}

#[tokio::test]
async fn the_history_is_verified_and_exported() {
    let place = filled().await;
    let url = place.database_url();
    let on = |args: &[&'static str]| line(&[&["audit"], args, &["--database-url", &url]].concat());
    let head = on(&["head"]);
    assert!(head.starts_with("6 ") && head.len() == 67, "{head}");
    assert_eq!(on(&["verify"]), format!("ok: 6 events, head {head}"));
    assert_eq!(on(&["verify", "--from", "4", "--org", "default"]), format!("ok: 3 events, head {head}"));
    assert_eq!(on(&["verify", "--from", "7"]), format!("ok: 0 events, head {head}"));
    let json = json_of(&["audit", "head", "--json", "--database-url", &url]);
    assert_eq!(json.as_object().unwrap().len(), 3);
    assert_eq!(format!("{} {}\n", json["position"], json["hash"].as_str().unwrap()), head);
    assert!(json["organization_id"].as_str().unwrap().starts_with("org_"));

    let feed = on(&["export"]);
    assert!(feed.contains(r"Only\ta note\u202e\u2028") && !feed.contains(['\u{202e}', '\u{2028}']), "{feed}");
    let events: Vec<Value> = feed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["FLAGGED", "RECURRED", "NOTED", "UPDATED", "CLOSED", "FLAGGED"]);
    assert_eq!(events[0]["previous_hash"], ZEROS);
    assert_eq!(events[2]["actor"]["on_behalf_of"], "ana");
    assert_eq!(on(&["export", "--format", "jsonl"]), feed);
    let rest: Vec<_> = feed.lines().skip(4).collect();
    assert_eq!(on(&["export", "--from", "5"]).lines().collect::<Vec<_>>(), rest);
    assert_eq!(on(&["export", "--from", "7"]), "");
}

#[tokio::test]
async fn the_feed_over_rest_is_the_export() {
    let place = filled().await;
    let server = place.serve(&[], &[]);
    let request = reqwest::Client::new().get(server.url("/events")).bearer_auth(KEY);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let exported = line(&["audit", "export", "--database-url", &place.database_url()]);
    let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answer["data"], json!(exported));
}

#[tokio::test]
async fn the_independent_verifier_agrees() {
    let place = filled().await;
    let url = place.database_url();
    let on = |args: &[&'static str]| line(&[&["audit"], args, &["--database-url", &url]].concat());
    let feed = on(&["export"]);
    assert_eq!(accepted(&[], &feed), on(&["verify"]));
    assert_eq!(accepted(&["--from", "3"], &on(&["export", "--from", "3"])), on(&["verify", "--from", "3"]));

    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &feed).unwrap();
    assert_eq!(accepted(&[file.path().to_str().unwrap()], ""), on(&["verify"]));

    assert_eq!(refused(&[], &feed.replace("Only\\ta note", "Only a note")), broken(3, "was changed"));
    assert_eq!(refused(&[], &feed.replace("1e-7", "1.1e-7")), broken(1, "was changed"));
    let without = |gone: usize| {
        let kept = feed.split_inclusive('\n').enumerate().filter(|(index, _)| *index != gone);
        kept.map(|(_, line)| line).collect::<String>()
    };
    assert_eq!(refused(&[], &without(0)), broken(1, "is missing"));
    assert_eq!(refused(&[], &without(3)), broken(4, "is missing"));
    assert_eq!(refused(&["--from", "7"], ""), broken(7, "is missing"));
    let twice = feed.replacen("\"note\":", "\"note\":\"told otherwise\",\"note\":", 1);
    assert!(refused(&[], &twice).starts_with(&broken(1, "can't be read")));
    assert!(refused(&[], "nonsense\n").starts_with(&broken(1, "can't be read")));
}

fn broken(position: i64, how: &str) -> String {
    format!("broken at position {position}: the event {how}")
}

#[test]
fn the_verifier_reads_every_notation_of_numbers() {
    let numbers = [
        1e21,
        1e20,
        -1e21,
        123_456_789_012_345_680_000.0,
        1e-6,
        1e-7,
        -0.0,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        4.5e15,
        333_333_333.333_333_3,
        9_007_199_254_740_992.0,
        0.3,
        -1000.5,
    ];
    let names = "\r \u{8} \u{c} \u{1f} \u{7f} \u{80} é \u{fb33} 😀 \u{ffff}";
    let mut event = json!({ "position": 1, "previous_hash": ZEROS, "numbers": numbers, names: names });
    event[names.to_uppercase()] = json!({});
    let mut digest = Sha256::new();
    digest.update([0; 32]);
    digest.update(canonical(&event));
    let hash = ChainHash(digest.finalize().into()).to_string();
    event["hash"] = hash.as_str().into();
    assert_eq!(accepted(&[], &event.to_string()), format!("ok: 1 events, head 1 {hash}\n"));
}

#[test]
fn the_documented_example_is_real() {
    let page = fs::read_to_string(format!("{DOCS}/audit.md")).unwrap();
    let feed = fs::read_to_string(format!("{DOCS}/audit-example.jsonl")).unwrap();
    let message = accepted(&[], &feed);
    assert!(page.contains(&format!("$ redflag audit verify\n{message}")), "{message}");
    let mut event: Value = serde_json::from_str(feed.lines().nth(1).unwrap()).unwrap();
    let hash = event.as_object_mut().unwrap().remove("hash").unwrap();
    for quoted in [event["previous_hash"].as_str().unwrap(), &canonical(&event), hash.as_str().unwrap()] {
        assert!(page.lines().any(|line| line == quoted), "{quoted}");
    }
}

#[tokio::test]
async fn a_broken_history_is_named() {
    let place = filled().await;
    let url = place.database_url();
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    for statement in [
        "DROP TRIGGER alert_events_not_updated",
        "UPDATE alert_events SET note = 'Another note' WHERE position = 3",
    ] {
        sqlx::query(statement).execute(&mut database).await.unwrap();
    }
    let message = (Some(1), "broken at position 3: the event was changed".to_owned());
    assert_eq!(failure(&["audit", "verify", "--database-url", &url]), message);
    assert_eq!(failure(&["audit", "verify", "--from", "2", "--database-url", &url]), message);
    // The other alert is untouched.
    assert!(line(&["audit", "verify", "--from", "6", "--database-url", &url]).starts_with("ok: 1 events, "));
    for statement in ["DROP TRIGGER alert_events_not_deleted", "DELETE FROM alert_events WHERE position > 4"]
    {
        sqlx::query(statement).execute(&mut database).await.unwrap();
    }
    let output = run(&["audit", "export", "--database-url", &url]);
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(1), 4));
    let message = "redflag: the events after position 4 are missing, although the feed ends at 6\n";
    assert_eq!(text(&output.stderr), message);
}

#[test]
fn a_feed_without_events_is_sound() {
    let place = Place::new();
    let url = place.database_url();
    place.make_database();
    json_of(&["org", "create", "--name", "one", "--database-url", &url, "--json"]);
    let message = line(&["audit", "verify", "--database-url", &url]);
    assert_eq!(message, format!("ok: 0 events, head 0 {ZEROS}\n"));
    assert_eq!(line(&["audit", "head", "--database-url", &url]), format!("0 {ZEROS}\n"));
    assert_eq!(line(&["audit", "export", "--database-url", &url]), "");
    assert_eq!(accepted(&[], ""), message);
}

/// Damages the head of the organization of that name.
async fn damage_head(place: &Place, name: &str) {
    let url = place.database_url();
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let damage = "UPDATE event_heads SET hash = randomblob(32) \
         WHERE organization_id = (SELECT organization_id FROM organizations WHERE name = ?)";
    sqlx::query(damage).bind(name).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_broken_organization_does_not_stop_the_verification_of_others() {
    let place = Place::new();
    let url = place.database_url();
    place.make_database();
    for name in ["one", "two", "three"] {
        json_of(&["org", "create", "--name", name, "--database-url", &url, "--json"]);
    }
    let sound = format!("ok: 0 events, head 0 {ZEROS}\n");
    let verify = ["audit", "verify", "--database-url", &url];
    assert_eq!(line(&verify), format!("one: {sound}two: {sound}three: {sound}"));
    damage_head(&place, "two").await;
    let output = run(&verify);
    let lines = text(&output.stdout).lines().collect::<Vec<_>>();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "redflag: 1 of 3 organizations did not verify\n");
    assert!(lines.len() == 3 && lines[1].starts_with("two: broken at the head, position 0"), "{lines:?}");
    assert_eq!(
        (lines[0], lines[2]),
        (&*format!("one: {}", sound.trim()), &*format!("three: {}", sound.trim()))
    );
    let output = run(&[&verify[..], &["--json"]].concat());
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ok: Vec<_> = results.as_array().unwrap().iter().map(|result| result["ok"] == true).collect();
    assert_eq!((output.status.code(), ok), (Some(1), vec![true, false, true]));
    assert_eq!(results[0]["head"]["hash"], ZEROS);
    assert!(results[1]["problem"].as_str().unwrap().starts_with("broken at the head"), "{results}");
    assert_eq!(line(&[&verify[..], &["--org", "three"]].concat()), sound);
    let (code, message) = failure(&[&verify[..], &["--from", "2"]].concat());
    assert_eq!((code, &*message), (Some(1), "there are several organizations: say which with --org"));
}

#[test]
fn a_wrong_call_and_an_unknown_feed_are_errors() {
    let place = Place::new();
    let url = place.database_url();
    for verb in ["verify", "head", "export"] {
        let (code, message) = failure(&["audit", verb, "--database-url", &url]);
        assert!(code == Some(1) && message.starts_with("there is no database at /"), "{message}");
        assert!(place.database_bytes().is_empty(), "{verb} makes a database");
    }
    place.make_database();
    json_of(&["org", "create", "--name", "one", "--database-url", &url, "--json"]);
    let no_such = (Some(1), "there is no organization \"two\"".to_owned());
    assert_eq!(failure(&["audit", "verify", "--org", "two", "--database-url", &url]), no_such);
    for (args, message) in [
        (["audit", "verify", "--from", "0"], "invalid value '0' for '--from <POSITION>'"),
        (["audit", "export", "--from", "-1"], "unexpected argument '-1' found"),
        (["audit", "export", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>'"),
    ] {
        let (code, line) = failure(&args);
        assert!(code == Some(2) && line.starts_with(message), "{line}");
    }
}

#[tokio::test]
async fn an_export_to_a_closed_pipe_is_no_error() {
    let place = filled().await;
    let mut command = crate::support::process::command(&["audit", "export"]);
    let command = command.env("REDFLAG_DATABASE_URL", place.database_url());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[tokio::test]
async fn a_rule_of_an_organization_applies_at_once() {
    let place = filled().await;
    let url = place.database_url();
    let server = place.serve(&[], &[]);
    let message =
        line(&["org", "update", "default", "--require-disposition", "true", "--database-url", &url]);
    assert!(message.starts_with("the organization default (org_"), "{message}");
    assert!(message.ends_with(") now demands a disposition and a reason to close an alert\n"), "{message}");
    let listed = json_of(&["org", "list", "--json", "--database-url", &url]);
    assert_eq!(listed[0]["require_disposition"], true);
    let id = listed[0]["organization_id"].as_str().unwrap();

    let flag = json!({ "description": "d", "status": "RESOLVED" });
    let flag = async || {
        let request = reqwest::Client::new().post(server.url("/alerts/flag/bln_9")).bearer_auth(KEY);
        request.json(&flag).send().await.unwrap().status().as_u16()
    };
    assert_eq!(flag().await, 409);
    let update = ["org", "update", id, "--require-disposition", "false", "--database-url", &url, "--json"];
    assert_eq!(json_of(&update)["require_disposition"], false);
    assert_eq!(flag().await, 201);
    let table = line(&["org", "list", "--database-url", &url]);
    assert!(table.contains("REQUIRE_DISPOSITION") && table.contains("  false  "), "{table}");
    let unknown = ["org", "update", "two", "--require-disposition", "true", "--database-url", &url];
    assert_eq!(failure(&unknown), (Some(1), "there is no organization \"two\"".to_owned()));
}
