//! redflag: the self-hosted alerts service for ledgers.
//!
//! `docs/architecture.md` maps the modules.

pub mod answers;
pub mod app;
pub mod auth;
pub mod call;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod error;
pub mod feed;
pub mod grpc;
pub mod http;
pub mod operator;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
