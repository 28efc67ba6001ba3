//! Work of both faces for every call: its trace id, its credentials, its deadline.

mod admission;
mod connection;
mod context;
mod headers;
pub mod stream;

pub use self::{
    admission::{admit, within},
    connection::{Connection, Counted},
    context::{CallContext, choose_trace_id, current, record_failure, trace_id, traced},
    headers::{ACTOR, BLNK_KEY, IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, REPLAYED, REQUEST_ID},
};

/// The most bytes of one request, as the contract says.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
