//! Ids that come out the same every time.

use std::sync::atomic::{AtomicU64, Ordering};

use redflag::domain::{IdSource, Timestamp};
use uuid::Uuid;

/// A `UUIDv7` each, of the time given and a counter: within one millisecond too, ids made later sort later.
#[derive(Debug, Default)]
pub struct TestIds {
    made: AtomicU64,
}

impl IdSource for TestIds {
    fn next(&self, at: Timestamp) -> Uuid {
        let count = self.made.fetch_add(1, Ordering::SeqCst);
        let mut tail = [0; 10];
        tail[2..].copy_from_slice(&count.to_be_bytes());
        // A UUIDv7 can't tell times before 1970.
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }
}
