//! Messages, clients and servers, generated from the protos with their comments.

/// The generated code, in a module of its own for its lint exceptions.
#[expect(clippy::all, clippy::allow_attributes, clippy::pedantic, reason = "generated from the protos")]
mod generated {
    tonic::include_proto!("redflag.v1");
}

pub use generated::*;

/// The compiled protos with their comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/redflag.binpb"));
