//! Compiles the protos without a system `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

/// The contract, and what tools need to print its errors.
const PROTOS: [&str; 5] = [
    "redflag/v1/alert_service.proto",
    "redflag/v1/alert_status_service.proto",
    "redflag/v1/audit_service.proto",
    "redflag/v1/error_reason.proto",
    "redflag/v1/resources.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=migrations");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(PROTOS)?;
    // Encoded by protox itself: decoding and encoding again would lose custom options.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("redflag.binpb");
    fs::write(&descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
