//! SQLite knows its files: nothing is acknowledged into one that is gone or can't be written, and readiness tells the same.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::{
    DatabaseKind, TestApp, TestDatabase,
    app::KEY,
    process::{Process, command},
};

fn path_of(database: &TestDatabase) -> PathBuf {
    database.url().strip_prefix("sqlite:").expect("the database is a file").into()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", path.display()).into()
}

/// The answers to a change, a list and the question for readiness.
async fn statuses(url: &str) -> [u16; 3] {
    let mut statuses = [0; 3];
    for (status, (method, path)) in statuses.iter_mut().zip([
        (Method::POST, "/alerts/flag/bln_1"),
        (Method::GET, "/alerts"),
        (Method::GET, "/readyz"),
    ]) {
        let call = reqwest::Client::new().request(method, format!("{url}{path}")).bearer_auth(KEY);
        *status = call.json(&json!({ "description": "d" })).send().await.unwrap().status().as_u16();
    }
    statuses
}

/// Nothing is answered any more; readiness tells it too, though what was found good may be believed for a moment.
async fn assert_refused(url: &str) {
    assert_eq!(statuses(url).await[..2], [503, 503]);
    for _ in 0..600 {
        if statuses(url).await == [503; 3] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it calls itself ready while it refuses all calls");
}

async fn started() -> (TestApp, PathBuf) {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    assert_eq!(statuses(&app.url("")).await, [201, 200, 200]);
    let path = path_of(app.database());
    (app, path)
}

/// How many alerts a sound database holds.
async fn alerts_in(path: &Path) -> i64 {
    let mut conn = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut conn).await.unwrap();
    assert_eq!(sound, "ok");
    sqlx::query_scalar("SELECT count(*) FROM alerts").fetch_one(&mut conn).await.unwrap()
}

#[rstest]
#[case::database("")]
#[case::log("-wal")]
#[case::index("-shm")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_not_written_nor_read(#[case] suffix: &str) {
    let (app, path) = started().await;
    let (file, aside) = (beside(&path, suffix), beside(&path, ".aside"));
    fs::rename(&file, &aside).unwrap();
    assert_refused(&app.url("")).await;
    // Somebody may have written to it meanwhile.
    fs::rename(&aside, &file).unwrap();
    assert_refused(&app.url("")).await;
    let database = app.stop().await;
    assert_eq!(alerts_in(&path).await, 1);
    let app = TestApp::start_with(database, |_| {}).await;
    assert_eq!(statuses(&app.url("")).await, [201, 200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_takes_no_change() {
    let (app, path) = started().await;
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    assert_refused(&app.url("")).await;
    let _database = app.stop().await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_replaces_the_database_stays_as_it_is() {
    let (app, path) = started().await;
    let (backup, old) = (beside(&path, ".backup"), beside(&path, ".old"));
    app.database().execute(&format!("VACUUM INTO '{}'", backup.display())).await;
    assert_eq!(statuses(&app.url("")).await, [201, 200, 200]);
    let bytes = fs::read(&backup).unwrap();
    fs::rename(&path, &old).unwrap();
    fs::rename(&backup, &path).unwrap();
    assert_refused(&app.url("")).await;
    let _database = app.stop().await;
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let log = fs::metadata(beside(&path, "-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "changes of the old database are left beside the new one");
    // Neither has lost what belongs to it.
    assert_eq!((alerts_in(&path).await, alerts_in(&old).await), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_else_put_there_is_not_deleted() {
    let (app, path) = started().await;
    let log = beside(&path, "-wal");
    fs::remove_file(&log).unwrap();
    fs::write(&log, "somebody else's").unwrap();
    assert_refused(&app.url("")).await;
    let _database = app.stop().await;
    assert_eq!(fs::read(&log).unwrap(), b"somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_changes_find_no_room_the_server_is_not_ready() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let server = Process::serve_in_little_room(database.url(), 2_000);
    let call = || {
        let call =
            reqwest::Client::new().post(format!("{}/alerts/flag/bln_1", server.url())).bearer_auth(KEY);
        call.json(&json!({ "description": "long ".repeat(2_000) })).send()
    };
    let ready =
        || async { reqwest::get(format!("{}/readyz", server.url())).await.unwrap().status().as_u16() };
    // If the log is full first, there is room again once its content is moved to the database.
    for flags in 0.. {
        assert!(flags < 2_000, "it is ready for ever");
        if call().await.unwrap().status() == 503 && ready().await == 503 {
            break;
        }
    }
    server.give_room();
    // Trials follow each other at some distance.
    for _ in 0..600 {
        if ready().await == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((ready().await, call().await.unwrap().status().as_u16()), (200, 201));
    assert!(!beside(&path_of(&database), "-trial").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_are_for_their_owner_alone() {
    let (app, path) = started().await;
    for suffix in ["", "-wal", "-shm"] {
        let mode = fs::metadata(beside(&path, suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix:?}");
    }
    let _database = app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_everybody_could_read_are_closed_to_others_and_stay_open_to_the_group() {
    let (app, path) = started().await;
    let database = app.stop().await;
    let trial = beside(&path, "-trial");
    fs::write(&trial, "left by a server that was killed").unwrap();
    for (before, after) in [(0o644, 0o640), (0o660, 0o660), (0o600, 0o600)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        database.open().await.close().await;
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), before, "a command that works beside a server leaves it");
        let done = command(&["migrate", "--database-url", database.url()]).output().unwrap();
        assert!(done.status.success() && mode() == after, "{before:o} became {:o}", mode());
        assert_eq!(String::from_utf8_lossy(&done.stderr).contains("was open to every user"), before != after);
    }
    assert!(!trial.exists());
}

/// The binary as somebody whom the modes of files bind: root is bound once it has lost its capabilities.
fn bound(args: &[&str]) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root {
        return command(args);
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_redflag")]);
    setpriv.args(args).stdin(Stdio::null());
    setpriv
}

#[tokio::test]
async fn a_server_does_not_start_on_a_file_that_it_can_not_write() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    database.open().await.close().await;
    let path = path_of(&database);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let refused = bound(&["serve", "--listen", "127.0.0.1:0", "--database-url", database.url()]).output();
    let refused = refused.unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("is read-only: it must be writable"), "{told}");
}

#[tokio::test]
async fn a_damaged_file_is_told_with_its_likely_cause() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    fs::write(path_of(&database), "no database at all, ".repeat(1_000)).unwrap();
    let refused = command(&["serve", "--listen", "127.0.0.1:0", "--database-url", database.url()]).output();
    let refused = refused.unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("the database is damaged, perhaps by a write-ahead log (-wal)"), "{told}");
}
