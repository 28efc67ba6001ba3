//! redflag: the self-hosted alerts service for ledgers.

pub mod auth;
pub mod call;
pub mod domain;
pub mod error;
pub mod service;
pub mod store;
