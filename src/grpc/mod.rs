//! The gRPC face: an adapter over the service, with health, reflection and gRPC-Web beside it.

mod admission;
mod alerts;
mod audit;
mod convert;
mod health;
mod keyless;
pub mod methods;
pub mod pb;
pub mod reference;
mod status;
mod statuses;
mod streams;

use std::{any::Any, time::Duration};

use axum::{Router, extract::MatchedPath, middleware};
use clap::ValueEnum;
use tonic::{Request, Response, Status, body::Body, metadata::MetadataValue, service::Routes};
use tonic_web::GrpcWebLayer;

use crate::{
    auth::{Authenticator, Caller},
    call::{self, MAX_REQUEST_BYTES},
    domain::Idempotent,
    error::Error,
    service::Service,
};

pub use convert::metadata::from_json as struct_from_json;
pub use health::Health;
pub use status::status;

use admission::Admission;
use keyless::KeylessLimits;
use pb::{
    alert_service_server::AlertServiceServer, alert_status_service_server::AlertStatusServiceServer,
    audit_service_server::AuditServiceServer,
};

/// The callers that reflection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reflection {
    /// Anybody.
    Open,
    /// Callers with a valid key.
    Keyed,
    /// Nobody.
    Off,
}

/// Makes the router of gRPC: three services that need a key, health without a key, and reflection.
///
/// A call takes at most `request_timeout`, or its own `grpc-timeout` if that is shorter.
///
/// # Errors
/// When the compiled descriptors don't fit together.
pub fn router(
    service: Service,
    authenticator: Authenticator,
    request_timeout: Duration,
    reflection: Reflection,
    health: &Health,
) -> anyhow::Result<Router> {
    let alerts = AlertServiceServer::new(alerts::Alerts::new(service.clone()));
    let audit = AuditServiceServer::new(audit::Audit::new(service.clone()));
    let statuses = AlertStatusServiceServer::new(statuses::Statuses::new(service));
    let limits = KeylessLimits::new(request_timeout, health.end(), authenticator.clone());
    let admission = Admission::new(authenticator, request_timeout);
    let mut keyed = Routes::new(alerts.max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(statuses.max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(audit.max_decoding_message_size(MAX_REQUEST_BYTES))
        .into_axum_router()
        .reset_fallback();
    let limits = middleware::from_fn_with_state(limits, keyless::limit);
    let health = Routes::new(health.service().max_decoding_message_size(keyless::MAX_REQUEST_BYTES));
    let mut keyless = health.into_axum_router().reset_fallback().layer(limits.clone());
    match reflection {
        Reflection::Open => keyless = keyless.merge(reflection_routes()?.layer(limits)),
        Reflection::Keyed => keyed = keyed.merge(reflection_routes()?.layer(limits)),
        Reflection::Off => {}
    }
    let keyed = keyed.layer(middleware::from_fn_with_state(admission, admission::admit));
    // REST must not pass this layer: it refuses plain HTTP/1.1.
    Ok(keyed.merge(keyless).layer(GrpcWebLayer::new()))
}

/// Returns true when the matched route is a gRPC service: its name contains its package.
pub fn is_route(request: &axum::extract::Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    let service = route.and_then(|route| route.as_str().strip_suffix("/{*rest}"));
    service.is_some_and(|service| service.contains('.'))
}

/// Answers a call that has panicked; the log has the panic.
pub fn panicked(_: Box<dyn Any + Send>) -> axum::response::Response {
    status(&Error::internal("a method panicked")).into_http()
}

/// Answers a call that is refused before routing.
pub fn refused(error: &Error) -> axum::response::Response {
    status(error).into_http()
}

/// Answers a call of an unknown method.
pub fn unimplemented() -> http::Response<Body> {
    tonic::Status::unimplemented("there is no such method").into_http()
}

/// Takes the caller, whom admission has put among the extensions, and the message.
fn unpack<T>(mut request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = request.extensions_mut().remove::<Caller>();
    let caller = caller.ok_or_else(|| status(&Error::internal("a call was not admitted")))?;
    Ok((caller, request.into_inner()))
}

/// Makes the response of a method.
fn respond<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| status(&error))
}

/// Makes the response of a method that changes something; metadata marks a repeat.
fn respond_changed<T, M>(
    result: Result<Idempotent<T>, Error>,
    message: impl FnOnce(T) -> M,
) -> Result<Response<M>, Status> {
    let changed = result.map_err(|error| status(&error))?;
    let mut response = Response::new(message(changed.value));
    if changed.is_replayed {
        let replayed = MetadataValue::from_static("true");
        response.metadata_mut().insert(call::REPLAYED, replayed);
    }
    Ok(response)
}

fn reflection_routes() -> anyhow::Result<Router> {
    let v1 = reflection().build_v1()?.max_decoding_message_size(keyless::MAX_REQUEST_BYTES);
    let v1alpha = reflection().build_v1alpha()?.max_decoding_message_size(keyless::MAX_REQUEST_BYTES);
    Ok(Routes::new(v1).add_service(v1alpha).into_axum_router().reset_fallback())
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Lets tools print the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
