//! `redflag openapi`.

use super::output;
use crate::http;

/// Prints the OpenAPI document.
pub fn run() -> anyhow::Result<()> {
    output::print(&http::openapi_json())
}
