//! Keys that sign the history: generation, signing and verification.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use redflag::domain::AuditPublicKey;
use reqwest::Method;
use serde_json::json;

use super::{
    Place, Server,
    audit::{DOCS, call, verifier_by},
    failure, json_of, run, text,
};
use crate::support::app::KEY;

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a private key, and gives its file and the public key.
    pub fn make_key(&self, name: &str) -> (String, String) {
        let file = self.file(name).display().to_string();
        let output = run(&["audit", "keygen", "--out", &file]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        (file, text(&output.stdout).trim_end().to_owned())
    }

    /// Serves with the key in that file, or with none, for as long as it takes to flag so many alerts.
    pub async fn flag_with(&self, key: Option<&str>, count: usize) {
        let args = key.map_or_else(Vec::new, |file| vec!["--audit-key-file", file]);
        let server = self.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &args);
        flag(&server, count).await;
        assert_eq!(server.stop("-TERM"), Some(0));
    }
}

async fn flag(server: &Server, count: usize) {
    for _ in 0..count {
        call(server, Method::POST, "/alerts/flag/bln_1", json!({ "description": "d" })).await;
    }
}

/// The result of a verification: its exit code, the rest of its line after the head, and its notices.
fn verified(place: &Place, args: &[&str]) -> (Option<i32>, String, String) {
    let url = place.database_url();
    let output = run(&[&["audit", "verify", "--database-url", &url], args].concat());
    let line = text(&output.stdout).trim_end().split_once(", head ").unwrap_or_default().1;
    let rest = line.split_once(' ').map_or("", |(_, head)| head.get(64..).unwrap_or_default());
    (output.status.code(), rest.to_owned(), text(&output.stderr).to_owned())
}

#[test]
fn a_private_key_is_made_once_and_only_its_owner_reads_it() {
    let place = Place::new();
    let (file, public) = place.make_key("audit.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = fs::read_to_string(&file).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.ends_with("-----END PRIVATE KEY-----\n"));
    let (code, message) = failure(&["audit", "keygen", "--out", &file]);
    assert!(code == Some(1) && message.starts_with(&format!("can't write a new file {file}: ")), "{message}");
    assert_eq!(fs::read_to_string(&file).unwrap(), pem);
    let output = run(&["audit", "public-key", &file]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), format!("{public}\n").as_str()));
    assert_ne!(place.make_key("other.pem").1, public);
}

#[tokio::test]
async fn events_appended_without_the_key_are_reported() {
    let place = Place::new();
    let (file, public) = place.make_key("audit.pem");
    place.flag_with(None, 2).await;
    assert_eq!(verified(&place, &[]), (Some(0), String::new(), String::new()));
    let by = ["--public-key", &public];
    assert_eq!(verified(&place, &by), (Some(0), "; unsigned 1-2".to_owned(), String::new()));
    place.flag_with(Some(&file), 3).await;
    place.flag_with(None, 1).await;
    place.flag_with(Some(&file), 1).await;
    let unchecked = "default: 4 signatures were not checked, for want of --public-key\n";
    assert_eq!(verified(&place, &[]), (Some(0), String::new(), unchecked.to_owned()));
    let message = "; signed 3-5, 7; unsigned 1-2, 6".to_owned();
    assert_eq!(verified(&place, &by), (Some(0), message.clone(), String::new()));
    // In a file, as a line or in PEM.
    for content in
        [public.clone(), format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n")]
    {
        fs::write(place.file("audit.pub"), content).unwrap();
        let file = place.file("audit.pub").display().to_string();
        assert_eq!(verified(&place, &["--public-key", &file]).1, message);
    }
    let required = |more: &[&str]| {
        let url = place.database_url();
        failure(&[&["audit", "verify", "--require-signed", "--database-url", &url][..], &by, more].concat())
    };
    assert_eq!(required(&[]), (Some(1), "not signed with the keys given: the events at 1-2, 6".to_owned()));
    assert_eq!(required(&["--from", "4"]).1, "not signed with the keys given: the events at 6");
    let since = verified(&place, &[&by[..], &["--require-signed", "--from", "7"]].concat());
    assert_eq!(since, (Some(0), "; signed 7".to_owned(), String::new()));
}

#[tokio::test]
async fn rotated_keys_are_verified_together() {
    let place = Place::new();
    let ((old_file, old), (new_file, new)) = (place.make_key("old.pem"), place.make_key("new.pem"));
    place.flag_with(Some(&old_file), 2).await;
    place.flag_with(Some(&new_file), 1).await;
    let both = verified(&place, &["--public-key", &old, "--public-key", &new, "--require-signed"]);
    assert_eq!(both, (Some(0), "; signed 1-3".to_owned(), String::new()));
    let (code, message, _) = verified(&place, &["--public-key", &new]);
    let foreign = message.strip_prefix("; signed 3; unsigned 1-2; 2 signatures by other keys (").unwrap();
    assert_eq!((code, foreign.len()), (Some(0), 17));
    assert!(place.log().contains(&foreign[..16]), "the log does not name the key");

    let url = place.database_url();
    let args = ["audit", "verify", "--json", "--public-key", &new, "--database-url", &url];
    let signatures = &json_of(&args)[0]["signatures"];
    assert_eq!(signatures["signed"]["ranges"], json!([{ "from": 3, "to": 3 }]));
    assert_eq!(signatures["unsigned"]["events"], 2);
    assert_eq!((&signatures["found"], &signatures["by_other_keys"]), (&json!(3), &json!(2)));
    assert_eq!(signatures["other_keys"], json!([foreign[..16]]));
    let output = run(&[&args[..], &["--require-signed"]].concat());
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &result[0]["ok"]), (Some(1), &json!(false)));
    assert!(result[0]["problem"].as_str().unwrap().starts_with("not signed with the keys given"), "{result}");
}

/// Python with the package `cryptography`, if it is installed, and without packages.
const PYTHONS: [&[&str]; 2] = [&[], &["-S"]];

/// Runs the independent verifier: its exit code, and its standard output and error.
fn verdict(python: &[&str], args: &[&str], feed: &str) -> (Option<i32>, String, String) {
    let output = verifier_by(python, args, feed);
    (output.status.code(), text(&output.stdout).to_owned(), text(&output.stderr).trim_end().to_owned())
}

#[tokio::test]
async fn the_independent_verifier_agrees_about_signatures() {
    let place = Place::new();
    let ((file, public), (other_file, _)) = (place.make_key("audit.pem"), place.make_key("other.pem"));
    place.flag_with(Some(&file), 3).await;
    place.flag_with(None, 1).await;
    place.flag_with(Some(&other_file), 1).await;
    place.flag_with(Some(&file), 2).await;
    let url = place.database_url();
    let export = |more: &[&str]| {
        let output = run(&[&["audit", "export", "--database-url", &url], more].concat());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        text(&output.stdout).to_owned()
    };
    let (plain, feed) = (export(&[]), export(&["--signatures"]));
    let is_event = |line: &&str| line.contains("\"hash\":");
    assert_eq!(feed.lines().filter(is_event).collect::<Vec<_>>(), plain.lines().collect::<Vec<_>>());
    assert_eq!(feed.lines().count(), 7 + 6);
    fs::write(
        place.file("audit.pub"),
        format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n"),
    )
    .unwrap();
    let pem = place.file("audit.pub").display().to_string();
    let by = ["--public-key", &public];
    for python in PYTHONS {
        let message = |args: &[&str], feed: &str| {
            let output = verifier_by(python, args, feed);
            (
                output.status.code(),
                text(&output.stdout).to_owned(),
                text(&output.stderr).trim_end().to_owned(),
            )
        };
        for key in [&public, &pem] {
            let by = ["--public-key", key.as_str()];
            let same = run(&[&["audit", "verify", "--database-url", &url][..], &by].concat());
            assert!(
                text(&same.stdout).contains("; signed 1-3, 6-7; unsigned 4-5; 1 signatures by other keys (")
            );
            assert_eq!(message(&by, &feed), (Some(0), text(&same.stdout).to_owned(), String::new()));
        }
        assert_eq!(message(&[], &plain).0, Some(0));
        assert_eq!(message(&[], &feed).2, "6 signatures were not checked, for want of --public-key");
        let (code, _, refused) = message(&[&by[..], &["--require-signed"]].concat(), &feed);
        assert!(code == Some(1) && refused.starts_with("not signed with the keys given: the events at 4-5;"));
        let since = message(
            &[&by[..], &["--from", "6", "--require-signed"]].concat(),
            &export(&["--from", "6", "--signatures"]),
        );
        assert!(since.0 == Some(0) && since.1.ends_with("; signed 6-7\n"), "{since:?}");
    }
}

#[test]
fn the_independent_verifier_refuses_an_invalid_signature() {
    let feed = fs::read_to_string(format!("{DOCS}/audit-example-signed.jsonl")).unwrap();
    let page = fs::read_to_string(format!("{DOCS}/audit.md")).unwrap();
    let key = page.lines().find(|line| line.starts_with("MCowBQYDK2Vw")).unwrap();
    let signatures: Vec<_> = feed.lines().filter_map(signature).collect();
    let moved = feed.replace(&signatures[0], &signatures[1]);
    let stretched = feed.replace("\"first_position\":2", "\"first_position\":1");
    let cut = feed.replace(&signatures[1], &signatures[1][..84]);
    let no_point = feed.replace(&signatures[1], &format!("{}{}", "/".repeat(43), &signatures[1][43..]));
    for python in PYTHONS {
        for (feed, at) in [(&moved, 1), (&stretched, 3), (&cut, 3), (&no_point, 3)] {
            let named = format!(
                "broken at position {at}: the signature does not fit the events before it and its key"
            );
            assert_eq!(verdict(python, &["--public-key", key], feed), (Some(1), String::new(), named));
        }
    }
}

/// Reads the signature on a line that holds one.
fn signature(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["signature"].as_str().map(str::to_owned)
}

#[test]
fn the_documented_signatures_are_real() {
    let page = fs::read_to_string(format!("{DOCS}/audit.md")).unwrap();
    let read = |name: &str| fs::read_to_string(format!("{DOCS}/{name}")).unwrap();
    let (plain, feed) = (read("audit-example.jsonl"), read("audit-example-signed.jsonl"));
    let lines: Vec<serde_json::Value> =
        feed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (events, signatures): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["hash"].is_string());
    assert_eq!(events.len(), plain.lines().count());
    let of = |name: &str| signatures[1][name].as_str().unwrap();
    let signed = format!(
        "redflag-head-v1\n{}\n{}\n{}\n{}\n",
        of("organization_id"),
        signatures[1]["first_position"],
        signatures[1]["position"],
        events[2]["hash"].as_str().unwrap(),
    );
    let key = page.lines().find(|line| line.starts_with("MCowBQYDK2Vw")).unwrap();
    assert!(page.contains(&format!("```text\n{signed}```")) && page.contains(&format!("`{}`", of("key_id"))));
    assert!(page.lines().any(|line| line == of("signature")));
    let public = AuditPublicKey::parse(key).unwrap();
    assert_eq!(public.id().to_string(), of("key_id"));
    for python in PYTHONS {
        let output = verifier_by(python, &["--public-key", key, "--require-signed"], &feed);
        assert!(text(&output.stdout).ends_with("; signed 1-3\n"), "{output:?}");
    }
}

#[tokio::test]
async fn a_start_logs_the_signing_key_and_warns_of_its_permissions() {
    let place = Place::new();
    let (file, public) = place.make_key("audit.pem");
    place.flag_with(Some(&file), 0).await;
    let log = place.log();
    assert!(log.contains(&public) && !log.contains("others than its owner"), "{log}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    place.flag_with(Some(&file), 0).await;
    let log = place.log();
    assert!(log.contains("others than its owner may read the private key"), "{log}");
    let pem = fs::read_to_string(&file).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    assert!(!log.contains(&secret[24..]) && !log.contains(&secret[..40]), "{log}");
}

#[test]
fn a_file_without_a_key_is_refused_and_not_shown() {
    let place = Place::new();
    let (private, public) = place.make_key("audit.pem");
    let url = place.database_url();
    let write = |name: &str, content: &str| {
        fs::write(place.file(name), content).unwrap();
        place.file(name).display().to_string()
    };
    let cut = fs::read_to_string(&private).unwrap().replace("MC4CAQAw", "MC4CAQ");
    let (empty, broken, other) = (write("empty", ""), write("cut", &cut), write("other", &public));
    let missing = place.file("missing").display().to_string();
    let folder = Path::new(&missing).parent().unwrap().display().to_string();
    let no_key = "the key in it must be an Ed25519 private key in PEM (PKCS#8), without a passphrase";
    for (file, reason) in [
        (&missing, "No such file or directory"),
        (&folder, "Is a directory"),
        (&empty, no_key),
        (&broken, no_key),
        (&other, no_key),
    ] {
        let (code, message) = failure(&["serve", "--audit-key-file", file, "--database-url", &url]);
        let named = format!("invalid value '{file}' for '--audit-key-file <FILE>': {reason}");
        assert!(code == Some(2) && message.starts_with(&named), "{message}");
    }
    let asked = |key: &str| failure(&["audit", "verify", "--public-key", key, "--database-url", &url]);
    for (key, reason) in [
        ("AAAA", "is neither base64 of an Ed25519 public key nor a file"),
        (&private, "the key in it must be an Ed25519 public key, in PEM or as one line of base64"),
    ] {
        let (code, message) = asked(key);
        assert!(code == Some(2) && message.contains(reason) && !message.contains("MC4CAQAw"), "{message}");
    }
    let (code, message) = failure(&["audit", "verify", "--require-signed", "--database-url", &url]);
    assert!(code == Some(2) && message.contains("--public-key <FILE_OR_BASE64>"), "{message}");
}
