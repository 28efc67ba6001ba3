//! Servers as processes of their own, which end with what holds them.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// The secret of every server's first key, which may do everything.
pub const KEY: &str = "rf_0123456789012345678901234567890123456789";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens, `http://…`.
    pub url: String,
    /// How long it took until it listened.
    pub started_in: Duration,
}

impl Server {
    /// Starts `redflag serve` as anyone would.
    pub fn redflag(database_url: &str) -> anyhow::Result<Self> {
        Self::start(serve(database_url))
    }

    /// Starts it so that it signs the history, with the key in that file.
    pub fn redflag_signing(database_url: &str, key: &Path) -> anyhow::Result<Self> {
        let mut command = serve(database_url);
        command.arg("--audit-key-file").arg(key);
        Self::start(command)
    }

    /// Starts this program itself in another role.
    pub fn own(role: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(role);
        Self::start(command)
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        let begun = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut server = Self { child, url: String::new(), started_in: Duration::ZERO };
        let output = server.child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        server.started_in = begun.elapsed();
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        url.with_context(|| format!("{command:?} has not said where it listens"))?
            .clone_into(&mut server.url);
        Ok(server)
    }

    /// Where it listens, `HOST:PORT`.
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The memory that it holds, in KiB.
    pub fn resident_kib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves a database, whatever the variables around say.
fn serve(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redflag"));
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("REDFLAG_")) {
        command.env_remove(name);
    }
    command.env("REDFLAG_DATABASE_URL", database_url).env("REDFLAG_BOOTSTRAP_KEY", KEY);
    command
}
