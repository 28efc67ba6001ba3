//! The command line, as the real binary.

pub mod audit;
mod audit_keys;
mod backup;
mod client;
mod errors;
mod file_lock;
mod keys;
mod log;
mod read_only;
mod restore;
mod secrets;
mod serve;
mod url_file;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::{Child, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::command;

/// Runs the binary to its end.
fn run(args: &[&str]) -> Output {
    command(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the binary writes UTF-8")
}

/// Runs a command that must fail: its exit code, and its one line on standard error.
fn failure(args: &[&str]) -> (Option<i32>, String) {
    failure_of(&run(args))
}

fn failure_of(output: &Output) -> (Option<i32>, String) {
    assert_eq!(text(&output.stdout), "");
    let message = text(&output.stderr).to_owned();
    let line = message.strip_prefix("redflag: ").and_then(|message| message.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("{message:?} is no line of ours"));
    assert!(!line.contains('\n') && !line.contains("panicked"), "{message:?}");
    (output.status.code(), line.to_owned())
}

/// Runs a command that must succeed and print JSON.
fn json_of(args: &[&str]) -> Value {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until a condition holds; gives up after a generous time.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not so: {what}");
}

/// A temporary folder for the database and the log of a test.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// Returns the URL of a database that does not exist yet.
    fn database_url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("redflag.db").display())
    }

    /// Makes a database without a schema: an empty file.
    fn make_empty_database(&self) {
        fs::write(self.folder.path().join("redflag.db"), "").unwrap();
    }

    /// Makes a database without an organization.
    fn make_database(&self) {
        let url = self.database_url();
        assert!(run(&["migrate", "--database-url", &url]).status.success());
    }

    /// Reads the server's standard error.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Reads the bytes of the database's files.
    fn database_bytes(&self) -> Vec<u8> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let files =
            files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("redflag.db"));
        files.flat_map(|file| fs::read(file).unwrap()).collect()
    }

    /// Starts the server with these variables on a free port, its log in the folder.
    fn serve(&self, variables: &[(&str, &str)], args: &[&str]) -> Server {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut child = command(&[&["serve"], args].concat())
            .env("REDFLAG_DATABASE_URL", self.database_url())
            .env("REDFLAG_LISTEN", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, line }
    }
}

/// A server that was started by a test.
struct Server {
    child: Child,
    /// The first line of its standard output.
    line: String,
}

impl Server {
    /// The URL of a path.
    fn url(&self, path: &str) -> String {
        let url = self.line.split_whitespace().find(|word| word.starts_with("http://"));
        format!("{}{path}", url.unwrap_or_else(|| panic!("no address in {:?}", self.line)))
    }

    /// Makes a call with `key` and returns its status.
    async fn list_with(&self, key: &str) -> u16 {
        let request = reqwest::Client::new().get(self.url("/alerts")).bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    }

    /// Sends it a signal and waits for its end.
    fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
