//! Commands that only read change neither the database nor the files beside it, which may be evidence.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::{Place, failure, run, text};
use crate::support::app::KEY;

/// Every command that reads a database.
const READING: [&[&str]; 6] = [
    &["audit", "verify"],
    &["audit", "head"],
    &["audit", "export"],
    &["key", "list"],
    &["org", "list"],
    &["migrate", "--check"],
];

/// Makes a database of one alert. The end of its server decides whether the write-ahead log stays or is merged.
async fn filled(signal: &str) -> Place {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    let call = reqwest::Client::new().request(Method::POST, server.url("/alerts/flag/bln_1"));
    let answer = call.bearer_auth(KEY).json(&json!({ "description": "d" })).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    server.stop(signal);
    place
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn read_all(url: &str) {
    for verb in READING {
        let output = run(&[verb, &["--database-url", url]].concat());
        assert!(output.status.success(), "{verb:?}: {}", text(&output.stderr));
        assert!(!output.stdout.is_empty(), "{verb:?}");
    }
}

#[rstest]
#[case::writable(0o600, 0o700)]
#[case::read_only(0o400, 0o500)]
#[tokio::test]
async fn reading_changes_no_file_of_a_database(#[case] file: u32, #[case] folder: u32) {
    let place = filled("-TERM").await;
    let (at, database) = (place.folder.path(), place.folder.path().join("redflag.db"));
    let before = files(at);
    fs::set_permissions(&database, fs::Permissions::from_mode(file)).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(folder)).unwrap();
    read_all(&place.database_url());
    fs::set_permissions(at, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(files(at) == before, "something was changed");
}

#[tokio::test]
async fn changes_in_the_write_ahead_log_are_read_and_stay_there() {
    let place = filled("-KILL").await;
    let before = files(place.folder.path());
    read_all(&place.database_url());
    let head = run(&["audit", "head", "--database-url", &place.database_url()]);
    assert!(text(&head.stdout).starts_with("1 "), "{}", text(&head.stdout));
    let after = files(place.folder.path());
    for name in ["redflag.db", "redflag.db-wal"] {
        let path = place.folder.path().join(name);
        assert!(before[&path] == after[&path], "{name} was changed");
    }
}

#[test]
fn a_file_that_is_no_database_is_not_changed() {
    let place = Place::new();
    let path = place.folder.path().join("redflag.db");
    fs::write(&path, "a letter, or something else that is not ours ".repeat(100)).unwrap();
    let before = files(place.folder.path());
    for verb in READING {
        let (code, message) = failure(&[verb, &["--database-url", &place.database_url()]].concat());
        assert!(code == Some(1) && message.contains("the database is damaged"), "{verb:?}: {message}");
    }
    assert!(files(place.folder.path()) == before);
}
