//! Parts that both databases share: rows, statements, and how lists are read.

pub mod cell;
pub mod database;
pub mod decision_input;
mod feed;
pub mod idempotency;
pub mod index;
pub mod listing;
pub mod page;
pub mod part;
pub mod queries;
pub mod row;
pub mod rows;
pub mod sql;
pub mod statements;
pub mod value;
