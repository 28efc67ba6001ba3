//! An SQLite file has one server at a time; short writes of commands work beside it.

use std::{fs, os::unix::fs::symlink};

use super::{Place, failure, run, text};
use crate::support::app::KEY;

/// Starts a server that must be refused, and returns its error.
fn refused(url: &str) -> String {
    let (code, message) = failure(&["serve", "--listen", "127.0.0.1:0", "--database-url", url]);
    assert_eq!(code, Some(1), "{message}");
    message
}

#[tokio::test]
async fn a_second_server_on_a_file_is_refused_under_every_name_of_the_file() {
    let place = Place::new();
    let folder = place.folder.path();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    symlink(folder.join("redflag.db"), folder.join("other.db")).unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    for name in ["redflag.db", "other.db", "sub/../redflag.db"] {
        let message = refused(&format!("sqlite:{}", folder.join(name).display()));
        assert!(message.contains(&format!("redflag (process {})", server.child.id())), "{message}");
        assert!(
            message.contains("/redflag.db is in use") && message.ends_with("stop that first"),
            "{message}"
        );
    }
    assert_eq!(server.list_with(KEY).await, 200);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(!folder.join("redflag.db.lock").exists());
}

#[tokio::test]
async fn a_killed_server_leaves_no_lock() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    server.stop("-KILL");
    assert!(place.folder.path().join("redflag.db.lock").exists());
    let server = place.serve(&[], &[]);
    assert_eq!(server.list_with(KEY).await, 200);
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[tokio::test]
async fn commands_work_beside_a_server() {
    let place = Place::new();
    let url = place.database_url();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    let commands: [&[&str]; 5] = [
        &["org", "create", "--name", "acme"],
        &["key", "create", "--org", "acme", "--name", "k", "--owner", "o", "--scope", "*"],
        &["org", "update", "acme", "--require-disposition", "true"],
        &["audit", "verify"],
        // The schema is up to date.
        &["migrate"],
    ];
    for command in commands {
        let done = run(&[command, &["--database-url", &url]].concat());
        assert!(done.status.success(), "{command:?}: {}", text(&done.stderr));
    }
    assert_eq!(server.list_with(KEY).await, 200);
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[tokio::test]
async fn a_file_that_can_not_be_locked_is_an_error() {
    let place = Place::new();
    place.make_database();
    let lock = place.folder.path().join("redflag.db.lock");
    fs::create_dir(&lock).unwrap();
    let message = refused(&place.database_url());
    assert!(message.contains("redflag.db.lock: no plain file"), "{message}");
}
