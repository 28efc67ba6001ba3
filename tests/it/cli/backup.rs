//! A backup is whole, verified and private, and is made beside a running server.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
};

use reqwest::Method;
use serde_json::json;

use super::{Place, Server, failure, json_of, run, text};
use crate::support::{DatabaseKind, TestDatabase, app::KEY};

async fn flag(server: &Server) {
    let call = reqwest::Client::new().request(Method::POST, server.url("/alerts/flag/bln_1"));
    let answer = call.bearer_auth(KEY).json(&json!({ "description": "d" })).send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

#[tokio::test]
async fn a_backup_is_made_beside_a_running_server() {
    let place = Place::new();
    let url = place.database_url();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    flag(&server).await;
    let file = place.folder.path().join("a b?.db");
    let name = file.to_str().unwrap();
    let made = json_of(&["backup", name, "--database-url", &url, "--json"]);
    assert_eq!(
        (&made["organizations"][0]["name"], &made["organizations"][0]["position"]),
        (&json!("default"), &json!(1))
    );
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.permissions().mode() & 0o777, json!(found.len())), (0o600, made["bytes"].clone()));
    // An existing file is kept without --force.
    flag(&server).await;
    let bytes = fs::read(&file).unwrap();
    let (code, message) = failure(&["backup", name, "--database-url", &url]);
    assert!(code == Some(1) && message.contains("is there already"), "{message}");
    assert!(fs::read(&file).unwrap() == bytes);
    let replaced = run(&["backup", "--force", name, "--database-url", &url]);
    assert!(
        replaced.status.success() && text(&replaced.stdout).contains(" 2 "),
        "{}",
        text(&replaced.stdout)
    );
    let copy = format!("sqlite:{}", file.display().to_string().replace('?', "%3F").replace(' ', "%20"));
    let head = run(&["audit", "head", "--database-url", &copy]);
    assert!(text(&head.stdout).starts_with("2 "), "{}", text(&head.stderr));
    assert_eq!(server.stop("-TERM"), Some(0));
    let names = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with("a b")).count(), 1);
}

#[tokio::test]
async fn a_backup_replaces_a_killed_one_but_not_a_running_one() {
    let place = Place::new();
    place.make_database();
    let (file, partial) =
        (place.folder.path().join("backup.db"), place.folder.path().join("backup.db.partial"));
    let backup = ["backup", file.to_str().unwrap(), "--database-url", &place.database_url(), "--json"];
    let other = File::create(&partial).unwrap();
    other.lock().unwrap();
    let (code, message) = failure(&backup);
    assert!(code == Some(1) && message.contains("another backup is writing"), "{message}");
    assert!(partial.exists() && !file.exists());
    drop(other);
    fs::write(&partial, "half a copy").unwrap();
    json_of(&backup);
    assert!(file.exists() && !partial.exists());
    // A backup that was killed before it removed the first name of the finished copy.
    fs::hard_link(&file, &partial).unwrap();
    let (finished, size) = (File::open(&file).unwrap(), fs::metadata(&file).unwrap().len());
    json_of(&[&backup[..], &["--force"]].concat());
    assert_eq!((finished.metadata().unwrap().len(), partial.exists()), (size, false));
}

#[tokio::test]
async fn an_unverified_copy_is_deleted() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    flag(&server).await;
    assert_eq!(server.stop("-TERM"), Some(0));
    let url = place.database_url();
    forge_head(&url).await;
    let file = place.folder.path().join("backup.db");
    let (code, message) = failure(&["backup", file.to_str().unwrap(), "--database-url", &url]);
    assert!(code == Some(1) && message.contains("broken at the head"), "{message}");
    let names = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with("backup")).count(), 0);
}

/// Forges the head with SQL.
async fn forge_head(url: &str) {
    use sqlx::Connection;
    let mut conn = sqlx::SqliteConnection::connect(url).await.unwrap();
    sqlx::raw_sql("UPDATE event_heads SET hash = zeroblob(32)").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn postgres_has_its_own_tools() {
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let (code, message) = failure(&["backup", file.to_str().unwrap(), "--database-url", database.url()]);
    assert!(code == Some(1) && message.contains("use pg_dump or pg_basebackup"), "{message}");
    assert!(!file.exists());
}
