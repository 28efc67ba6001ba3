//! What tests stand on: databases of their own, a clock that they set, ids that come out the same every time.

pub mod app;
pub mod chain;
pub mod clock;
pub mod database;
pub mod ids;
pub mod keys;
pub mod outage;
pub mod process;
pub mod way;

pub use app::{TestApp, keyed, with_key};
pub use clock::{TestClock, instant};
pub use database::{DatabaseKind, TestDatabase};
pub use ids::TestIds;
