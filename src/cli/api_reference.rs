//! `redflag api-reference`.

use super::output;
use crate::grpc;

/// Prints the reference of the gRPC contract.
pub fn run() -> anyhow::Result<()> {
    output::print(&grpc::reference::markdown()?)
}
