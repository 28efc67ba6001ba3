//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    redflag::cli::run(std::env::args_os())
}
