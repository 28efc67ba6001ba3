//! Organizations and their keys, made as an operator makes them.

use std::process::Command;

use anyhow::{Context as _, ensure};

/// Makes an organization in the database, and a key for it that may do everything.
pub fn make(database_url: &str, name: &str) -> anyhow::Result<String> {
    redflag(database_url, &["org", "create", "--name", name])?;
    let key = ["key", "create", "--org", name, "--name", name, "--owner", name, "--scope", "*", "--json"];
    let made = redflag(database_url, &key)?;
    let made: serde_json::Value = serde_json::from_str(&made)?;
    Ok(made["key"].as_str().context("the new key is told")?.to_owned())
}

fn redflag(database_url: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redflag"));
    let done = command.args(arguments).env("REDFLAG_DATABASE_URL", database_url).output()?;
    ensure!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}
