//! The database's URL from a file, whose content is never repeated.

use std::fs;

use super::{Place, failure, failure_of, run, text};
use crate::support::process::command;

#[test]
fn every_command_takes_the_url_from_a_file() {
    let place = Place::new();
    place.make_database();
    let file = place.folder.path().join("url");
    fs::write(&file, format!("{}\r\n", place.database_url())).unwrap();
    let (file, backup) = (file.to_str().unwrap(), place.folder.path().join("backup.db"));
    let backup = backup.to_str().unwrap();
    let verbs: [&[&str]; 7] = [
        &["migrate"],
        &["migrate", "--check"],
        &["org", "create", "--name", "acme"],
        &["key", "list"],
        &["audit", "verify"],
        &["backup", backup],
        &["restore", backup],
    ];
    for verb in verbs {
        let given = run(&[verb, &["--database-url-file", file]].concat());
        assert!(given.status.success(), "{verb:?}: {}", text(&given.stderr));
    }
    let by_variable = command(&["org", "list"]).env("REDFLAG_DATABASE_URL_FILE", file).output().unwrap();
    assert!(text(&by_variable.stdout).contains("acme"), "{}", text(&by_variable.stderr));
}

#[test]
fn a_server_takes_the_url_from_a_file() {
    let place = Place::new();
    let file = place.folder.path().join("url");
    fs::write(&file, "sqlite::memory:\n").unwrap();
    let mut serve = command(&["serve", "--listen", "203.0.113.1:1"]);
    let refused = serve.env("REDFLAG_DATABASE_URL_FILE", &file).output().unwrap();
    assert!(text(&refused.stderr).contains("can't listen"), "{}", text(&refused.stderr));
}

#[test]
fn a_file_without_a_url_is_refused_and_not_repeated() {
    let place = Place::new();
    let file = place.folder.path().join("url");
    for content in [
        "secret",
        "",
        "postgres://ana:secret@host/x\npostgres://ana:secret@other/x",
        "postgres://ana:my?secret@host/x",
        "postgres://ana:secret@host:secret/x",
        "postgres://ana@host/x?sslmode=secret",
        "sqlite:x.db?mode=secret",
        "sqlite:",
    ] {
        fs::write(&file, content).unwrap();
        let (code, message) = failure(&["org", "list", "--database-url-file", file.to_str().unwrap()]);
        assert!(code == Some(2) && message.contains("--database-url-file"), "{content}: {message}");
        assert!(!message.contains("secret") && message.contains("URL"), "{content}: {message}");
    }
    let (code, message) = failure(&["org", "list", "--database-url-file", "/nowhere/url"]);
    assert!(code == Some(2) && message.contains("No such file"), "{message}");
}

#[test]
fn a_url_and_a_url_file_exclude_each_other() {
    let place = Place::new();
    let file = place.folder.path().join("url");
    fs::write(&file, place.database_url()).unwrap();
    let file = file.to_str().unwrap();
    let both = ["org", "list", "--database-url", "sqlite:a.db", "--database-url-file", file];
    let mut by_variable = command(&["org", "list", "--database-url-file", file]);
    let by_variable = by_variable.env("REDFLAG_DATABASE_URL", "sqlite:a.db").output().unwrap();
    for (code, message) in [failure(&both), failure_of(&by_variable)] {
        assert!(code == Some(2) && message.contains("cannot be used with"), "{message}");
    }
}
