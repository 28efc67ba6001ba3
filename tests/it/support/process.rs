//! The real binary as a process of its own, on a port of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::app::KEY;

/// A running `redflag serve`, killed when this is dropped.
pub struct Process {
    child: Child,
    url: String,
}

impl Process {
    /// Starts the server on the database at `database_url` and waits until it listens.
    pub fn serve(database_url: &str) -> Self {
        Self::start(command(&["serve", "--listen", "127.0.0.1:0", "--database-url", database_url]))
    }

    /// The same, where no file can grow beyond `kibibytes`, until [`Self::give_room`].
    pub fn serve_in_little_room(database_url: &str, kibibytes: u32) -> Self {
        let mut shell = Command::new("bash");
        let limited = format!("trap '' XFSZ; ulimit -S -f {kibibytes}; exec \"$@\"");
        shell.args(["-c", &limited, "bash", env!("CARGO_BIN_EXE_redflag")]);
        shell.args(["serve", "--listen", "127.0.0.1:0", "--database-url", database_url]);
        Self::start(shell)
    }

    /// Lets files grow again.
    pub fn give_room(&self) {
        let pid = self.child.id().to_string();
        let done = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
        assert!(done.expect("prlimit runs").success());
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .env("REDFLAG_BOOTSTRAP_KEY", KEY)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let output = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Self { child, url }
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would: no signal handler runs.
    pub fn kill(mut self) {
        self.child.kill().expect("it still ran");
        self.child.wait().expect("it can be waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with `args`, and none of the variables that would change what it does.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redflag"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("REDFLAG_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}
