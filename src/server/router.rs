//! Joins the two faces on one port.

use std::{borrow::Cow, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, Version, header, uri::Authority};
use tokio::sync::watch;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};

use crate::{
    auth::Authenticator,
    call,
    error::{Error, Reason},
    grpc::{self, Health, Reflection},
    http as rest,
    service::Service,
    telemetry,
};

/// The parts that the faces are built from.
pub struct Faces<'a> {
    /// The use cases that both call.
    pub service: Service,
    /// The verifier of keys.
    pub authenticator: Authenticator,
    /// The state that gRPC's health service reports.
    pub health: &'a Health,
    /// Turns true when the shutdown begins.
    pub is_stopping: watch::Receiver<bool>,
    /// Serve a page at `/docs`.
    pub docs: bool,
}

/// The routes of both faces, traced, for calls from `allow_origins` too.
///
/// # Errors
/// When the compiled descriptors don't fit together.
pub fn build(
    faces: Faces<'_>,
    request_timeout: Duration,
    reflection: Reflection,
    allow_origins: &[HeaderValue],
) -> anyhow::Result<Router> {
    let Faces { service, authenticator, health, is_stopping, docs } = faces;
    let settings = rest::Settings { request_timeout, docs };
    let readiness = rest::health::Readiness::new(is_stopping);
    let rest = rest::router(service.clone(), authenticator.clone(), settings, readiness);
    let rest = rest.layer(CatchPanicLayer::custom(rest::panicked));
    let grpc = grpc::router(service, authenticator, request_timeout, reflection, health)?
        .layer(CatchPanicLayer::custom(grpc::panicked));
    let both = grpc.merge(rest).fallback(fallback);
    let both = both.layer(middleware::from_fn(enter));
    // Before all else: what a browser asks in advance is no call.
    Ok(if allow_origins.is_empty() { both } else { both.layer(cors(allow_origins)) })
}

/// The first layer that every call passes. One layer for all of it: each is copied for every call.
async fn enter(request: Request, next: Next) -> Response {
    let path = logged_path(&request);
    telemetry::trace(request, path, |request| only_grpc(request, next)).await
}

/// The name of a path in the log: the route that was taken; of gRPC, whose routes are whole services, the method. What matches no
/// route and no method is not repeated: anything may stand in it.
fn logged_path(request: &Request) -> Cow<'static, str> {
    match request.extensions().get::<MatchedPath>() {
        Some(_) if grpc::is_route(request) => {
            grpc::methods::known(request.uri().path()).unwrap_or("(no method)").into()
        }
        Some(route) => route.as_str().to_owned().into(),
        None => "(no route)".into(),
    }
}

/// Refuses what names no host, or several; keeps what is no gRPC away from gRPC's paths, where it would get an answer without
/// a word.
async fn only_grpc(request: Request, next: Next) -> Response {
    if let Err(error) = check_host(&request) {
        return if is_grpc(&request) { grpc::refused(&error) } else { rest::refused(error) };
    }
    if !is_grpc(&request) && grpc::is_route(&request) {
        rest::not_found(request.uri().path())
    } else {
        next.run(request).await
    }
}

/// Over HTTP/1.1 a request names its host once (RFC 9112, section 3.2): a proxy before us may else have taken it for another.
fn check_host(request: &Request) -> Result<(), Error> {
    if request.version() >= Version::HTTP_2 {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let rule = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => return Ok(()),
        (None, _) => "must be given",
        (Some(_), Some(_)) => "must be given once",
        (Some(host), None) if is_host(host) => return Ok(()),
        (Some(_), None) => "must be a host name or address, with or without a port",
    };
    Err(Error::new(Reason::MalformedRequest, format!("the header Host {rule}")))
}

/// Also when it is empty, which is right where the target has no host.
fn is_host(host: &HeaderValue) -> bool {
    let parsed = Authority::try_from(host.as_bytes());
    host.is_empty() || parsed.is_ok_and(|authority| !authority.as_str().contains('@'))
}

fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Answers what is nowhere, each face in its own way.
async fn fallback(request: Request) -> Response {
    if is_grpc(&request) {
        grpc::unimplemented().map(axum::body::Body::new)
    } else {
        rest::not_found(request.uri().path())
    }
}

/// Lets pages of other origins call, with a key that they hold themselves: no cookie is ever looked at.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    let any = origins.iter().any(|origin| origin == "*");
    let origins = if any { AllowOrigin::any() } else { AllowOrigin::list(origins.iter().cloned()) };
    let sent = ["x-grpc-web", "x-user-agent", "grpc-timeout"].map(HeaderName::from_static);
    let ours = [
        call::REQUEST_ID,
        call::ACTOR,
        call::BLNK_KEY,
        call::IDEMPOTENCY_KEY,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
    ];
    let answered = ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(sent.into_iter().chain(ours).collect::<Vec<_>>())
        .expose_headers(
            answered
                .into_iter()
                .chain([call::REQUEST_ID, call::IDEMPOTENCY_REPLAYED])
                .chain([header::ETAG, header::LOCATION, header::RETRY_AFTER])
                .collect::<Vec<_>>(),
        )
        .max_age(Duration::from_hours(1))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error() {
        async fn broken() -> Response {
            panic!("on purpose")
        }
        let routes = Router::new().route("/", get(broken));
        let rest = routes.clone().layer(CatchPanicLayer::custom(rest::panicked));
        assert_eq!(rest.oneshot(Request::new(Body::empty())).await.unwrap().status(), 500);
        let grpc = routes.layer(CatchPanicLayer::custom(grpc::panicked));
        let answer = grpc.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "13");
    }
}
