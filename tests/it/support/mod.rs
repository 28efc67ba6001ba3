//! What tests stand on: databases of their own, a clock that they set, ids that come out the same every time.

pub mod clock;
pub mod database;
pub mod ids;

pub use clock::{TestClock, instant};
pub use database::{DatabaseKind, TestDatabase};
pub use ids::TestIds;
