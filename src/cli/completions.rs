//! `redflag completions`.

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell as Generator, generate};

use super::output;

/// Print a script that completes the commands and flags of redflag in a shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that scripts can be made for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Prints the script for `command`.
    pub fn run(&self, mut command: Command) -> anyhow::Result<()> {
        let generator = match self.shell {
            Shell::Bash => Generator::Bash,
            Shell::Zsh => Generator::Zsh,
            Shell::Fish => Generator::Fish,
        };
        let mut script = Vec::new();
        generate(generator, &mut command, "redflag", &mut script);
        output::print(std::str::from_utf8(&script)?)
    }
}
