//! The rows of each table, and the domain types that they stand for.

pub mod adoption;
pub mod alert;
pub mod event;
pub mod key;
pub mod organization;
pub mod signature;
pub mod status;
