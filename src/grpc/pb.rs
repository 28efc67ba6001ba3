//! The messages, clients and servers that the protos make; their comments are the contract's.

/// The generated code, kept apart so that its style is not judged.
#[expect(clippy::all, clippy::allow_attributes, clippy::pedantic, reason = "generated from the protos")]
mod generated {
    tonic::include_proto!("redflag.v1");
}

pub use generated::*;

/// The compiled protos with their comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/redflag.binpb"));
