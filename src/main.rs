//! The command line.

use std::process::ExitCode;

/// Responses need many small allocations, in which mimalloc is faster than the system's allocator.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    redflag::cli::run(std::env::args_os())
}
