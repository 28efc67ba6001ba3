//! Client verbs against a real server.

mod exit_codes;
mod health;
mod output;
mod screen;
mod tls;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use reqwest::Method;
use serde_json::Value;

use super::text;
use crate::support::{
    DatabaseKind, TestDatabase,
    app::KEY,
    process::{Process, command},
};

/// A server and its database.
struct Place {
    server: Process,
    _database: TestDatabase,
}

impl Place {
    async fn on(kind: DatabaseKind) -> Self {
        let database = TestDatabase::create(kind).await;
        Self { server: Process::serve(database.url()), _database: database }
    }

    /// Makes a command with the server and the key in its environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.env("REDFLAG_SERVER", self.server.url()).env("REDFLAG_API_KEY", KEY);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its output.
    fn printed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{args:?}");
        text(&output.stdout).to_owned()
    }

    /// Runs a command that must succeed, and parses its output.
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.printed(&[args, &["--json"]].concat())).unwrap()
    }

    /// Runs a command that must fail: its exit code and its error.
    fn failure(&self, args: &[&str]) -> (Option<i32>, String) {
        super::failure_of(&self.run(args))
    }

    /// Runs a command with `input` on standard input.
    fn run_with(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The command may exit before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Flags an entity and returns the alert's id.
    fn flagged(&self, entity: &str) -> String {
        let alert = self.json(&["flag", entity, "--description", "d"]);
        alert["anomaly_id"].as_str().unwrap().to_owned()
    }

    /// Calls REST and returns the body.
    async fn rest(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.server.url());
        let request = reqwest::Client::new().request(method, url).bearer_auth(KEY).json(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn rest_get(&self, path: &str) -> Value {
        self.rest(Method::GET, path, &Value::Null).await
    }
}
