//! The command line.

use std::process::ExitCode;

/// Answers are made of many small pieces of memory, which the system's own allocator is slower to give.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    redflag::cli::run(std::env::args_os())
}
