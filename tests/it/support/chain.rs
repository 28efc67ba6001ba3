//! The hash chain, as a reader of the history recomputes it from nothing but JSON.

use redflag::domain::{ChainHash, canonical::canonical};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What stands before the first event of a feed.
pub const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash that an event must have, by docs/audit.md: of the bytes of the hash before it, and the canonical JSON of all
/// else about it.
pub fn hash_of(event: &Value) -> String {
    let mut content = event.clone();
    content.as_object_mut().unwrap().remove("hash").unwrap();
    let mut digest = Sha256::new();
    digest.update(bytes(event["previous_hash"].as_str().unwrap()));
    digest.update(canonical(&content));
    ChainHash(digest.finalize().into()).to_string()
}

/// Checks that events follow each other without a gap, the first of them `previous`, and that each has its own hash.
pub fn assert_chained<'a>(events: impl IntoIterator<Item = &'a Value>, mut previous: Value) {
    for event in events {
        assert_eq!(event["previous_hash"], previous, "{event}");
        assert_eq!(event["hash"], hash_of(event), "{event}");
        previous = event["hash"].clone();
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
