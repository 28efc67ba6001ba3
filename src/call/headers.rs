//! The headers, and metadata keys, that both faces share.

use http::HeaderName;

/// The header (and metadata key) that traces one call; taken from the caller or made, and always answered.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header (and metadata key) that says on whose behalf a call is made.
pub const ACTOR: HeaderName = HeaderName::from_static("x-redflag-actor");
/// The header in which a REST caller names an intended change, so that it can be sent again safely.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header (and metadata key) that says that an answer is the one that was given first.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static(REPLAYED);
/// The name of that header.
pub const REPLAYED: &str = "idempotency-replayed";
/// The ledger core's own header for the API key.
pub const BLNK_KEY: HeaderName = HeaderName::from_static("x-blnk-key");
