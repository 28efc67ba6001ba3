//! Identity of callers: secrets, credentials, their verification, and the principals that they prove.

mod authenticator;
mod credentials;
mod look_ups;
mod principal;
mod secret;
mod uses;

pub use self::{
    authenticator::Authenticator,
    credentials::Credentials,
    principal::{Caller, Principal, Proof},
    secret::Secret,
};
