//! Restores from a verified copy, only while no server runs; the old database is kept.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, migrate::Migrator};

use super::{Place, Server, failure, json_of, run, text};
use crate::support::{DatabaseKind, TestDatabase, app::KEY};

async fn flag(server: &Server) {
    let call = reqwest::Client::new().request(Method::POST, server.url("/alerts/flag/bln_1"));
    let answer = call.bearer_auth(KEY).json(&json!({ "description": "d" })).send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

fn head(file: &Path) -> String {
    let head = run(&["audit", "head", "--database-url", &format!("sqlite:{}", file.display())]);
    assert!(head.status.success(), "{}", text(&head.stderr));
    text(&head.stdout).split(' ').next().unwrap().to_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Makes a running server with two alerts, and a backup of the first.
async fn place() -> (Place, Server, PathBuf) {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    flag(&server).await;
    let backup = place.folder.path().join("backup.db");
    json_of(&["backup", backup.to_str().unwrap(), "--database-url", &place.database_url(), "--json"]);
    flag(&server).await;
    (place, server, backup)
}

/// Runs SQL on a file directly.
async fn execute(file: &Path, sql: &str) {
    let url = format!("sqlite:{}?mode=rwc", file.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[rstest]
#[case::stopped("-TERM")]
#[case::killed("-KILL")]
#[tokio::test]
async fn a_backup_is_restored_and_the_old_database_is_kept(#[case] signal: &str) {
    let (place, server, backup) = place().await;
    let (folder, url) = (place.folder.path(), place.database_url());
    let restore = ["restore", backup.to_str().unwrap(), "--database-url", &url, "--json"];
    let (code, message) = failure(&restore);
    assert!(code == Some(1) && message.contains(&format!("(process {})", server.child.id())), "{message}");
    flag(&server).await;
    server.stop(signal);
    // A restore by root keeps the owner of the old file.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let owner = if is_root { 65_534 } else { fs::metadata(folder).unwrap().uid() };
    chown(folder.join("redflag.db"), Some(owner), None).unwrap();
    let report = json_of(&restore);
    assert_eq!(
        (&report["organizations"][0]["position"], &report["file"]),
        (&json!(1), &json!(folder.join("redflag.db")))
    );
    let (kept, database) = (PathBuf::from(report["kept"].as_str().unwrap()), folder.join("redflag.db"));
    let name = kept.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with("redflag.db.before-restore-20"), "{name}");
    assert_eq!(names(folder), ["backup.db", "log", "redflag.db", &name]);
    let found = fs::metadata(&database).unwrap();
    assert_eq!(
        (found.uid(), found.permissions().mode() & 0o777, json!(found.len())),
        (owner, 0o600, report["bytes"].clone())
    );
    // The kept database has every acknowledged change, also those in the write-ahead log.
    assert_eq!((head(&database).as_str(), head(&kept).as_str()), ("1", "3"));
    let server = place.serve(&[], &[]);
    flag(&server).await;
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!((head(&database).as_str(), head(&kept).as_str(), head(&backup).as_str()), ("2", "3", "1"));
}

#[tokio::test]
async fn an_unsound_file_is_refused_and_changes_nothing() {
    let (place, server, backup) = place().await;
    assert_eq!(server.stop("-TERM"), Some(0));
    let (folder, url) = (place.folder.path(), place.database_url());
    let file = |name: &str| folder.join(name);
    fs::write(file("letter"), "no database at all, ".repeat(1_000)).unwrap();
    execute(&file("other"), "CREATE TABLE alerts (x)").await;
    execute(
        &file("framework"),
        "CREATE TABLE _sqlx_migrations (version, checksum); \
        INSERT INTO _sqlx_migrations VALUES (1, x'00')",
    )
    .await;
    for (name, sql) in [
        ("forged", "UPDATE event_heads SET hash = zeroblob(32)"),
        (
            "newer",
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
            VALUES (9999, 'from the future', 1, X'00', 0)",
        ),
        (
            "unsound",
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'api_keys'",
        ),
    ] {
        fs::copy(&backup, file(name)).unwrap();
        execute(&file(name), sql).await;
    }
    let (before, files) = (fs::read(file("redflag.db")).unwrap(), names(folder));
    for (name, expected) in [
        ("letter", "the database is damaged"),
        ("other", "is no database of redflag"),
        ("framework", "is no database of redflag"),
        ("forged", "was not restored: the organization default: broken at the head"),
        ("newer", "newer than the"),
        ("unsound", "was not restored"),
        ("redflag.db", "is the database itself"),
        ("missing", "No such file"),
    ] {
        let (code, message) = failure(&["restore", file(name).to_str().unwrap(), "--database-url", &url]);
        assert!(code == Some(1) && message.contains(name) && message.contains(expected), "{name}: {message}");
        assert_eq!(names(folder), files, "{name}");
    }
    assert!(fs::read(file("redflag.db")).unwrap() == before);
}

#[tokio::test]
async fn a_missing_or_linked_database_is_restored_in_its_place() {
    let (place, server, backup) = place().await;
    assert_eq!(server.stop("-TERM"), Some(0));
    let folder = place.folder.path();
    let link = folder.join("link.db");
    std::os::unix::fs::symlink(folder.join("redflag.db"), &link).unwrap();
    let url = format!("sqlite:{}", link.display());
    let restore = ["restore", backup.to_str().unwrap(), "--database-url", &url, "--json"];
    assert!(json_of(&restore)["kept"].is_string());
    assert!(link.is_symlink() && head(&link) == "1");
    fs::remove_file(folder.join("redflag.db")).unwrap();
    let (code, message) = failure(&restore);
    assert!(code == Some(1) && message.contains("link.db"), "{message}");
    fs::remove_file(&link).unwrap();
    assert!(json_of(&restore)["kept"].is_null());
    assert_eq!(head(&link), "1");
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_migrated() {
    let place = Place::new();
    let (migrations, old) = (tempfile::tempdir().unwrap(), place.folder.path().join("old.db"));
    for file in ["0001_alerts.sql", "0002_history.sql"] {
        let from = format!("{}/migrations/sqlite/{file}", env!("CARGO_MANIFEST_DIR"));
        fs::copy(from, migrations.path().join(file)).unwrap();
    }
    let mut conn = SqliteConnection::connect(&format!("sqlite:{}?mode=rwc", old.display())).await.unwrap();
    Migrator::new(migrations.path()).await.unwrap().run(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let url = place.database_url();
    json_of(&["restore", old.to_str().unwrap(), "--database-url", &url, "--json"]);
    assert!(run(&["migrate", "--check", "--database-url", &url]).status.success());
    assert!(
        !run(&["migrate", "--check", "--database-url", &format!("sqlite:{}", old.display())])
            .status
            .success()
    );
    assert_eq!(names(place.folder.path()), ["old.db", "redflag.db"]);
}

#[tokio::test]
async fn commands_and_restores_exclude_each_other() {
    let (place, server, backup) = place().await;
    assert_eq!(server.stop("-TERM"), Some(0));
    let (url, folder) = (place.database_url(), File::open(place.folder.path()).unwrap());
    folder.lock_shared().unwrap();
    let (_, message) = failure(&["restore", backup.to_str().unwrap(), "--database-url", &url]);
    assert!(message.contains("redflag.db is in use by another redflag: stop that first"), "{message}");
    folder.unlock().unwrap();
    folder.lock().unwrap();
    let (_, message) = failure(&["org", "create", "--name", "acme", "--database-url", &url]);
    assert!(message.contains("somebody has locked the folder, as `redflag restore` does"), "{message}");
}

#[tokio::test]
async fn a_failed_restore_prints_one_line() {
    let place = Place::new();
    place.make_database();
    let file = place.folder.path().join("redflag.db");
    let (code, message) = failure(&["restore", file.to_str().unwrap(), "--database-url", "sqlite::memory:"]);
    assert!(code == Some(2) && message.contains("a database in memory can't be restored"), "{message}");
    let database = TestDatabase::create(DatabaseKind::Postgres).await;
    let (code, message) = failure(&["restore", file.to_str().unwrap(), "--database-url", database.url()]);
    assert!(code == Some(1) && message.contains("pg_restore"), "{message}");
}
