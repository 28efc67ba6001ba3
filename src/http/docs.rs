//! The OpenAPI document and the page that shows it; needs no key, and nothing from elsewhere.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::OriginalUri,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

use super::{
    path::Segment,
    problem::{Problem, json_bytes, not_found},
};
use crate::error::Error;

/// The routes of the document and its page.
pub fn router(document: String) -> Router {
    let document = Bytes::from(document);
    // The page would otherwise ask a validator on the internet about the document.
    let page = Config::from("/openapi.json").validator_url("none");
    Router::new()
        .route("/openapi.json", get(|| async { json_bytes(StatusCode::OK, document) }))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(index))
        .route("/docs/{file}", get(file))
        .layer(Extension(Arc::new(page)))
}

/// What the page is told about the document.
type Page = Extension<Arc<Config<'static>>>;

async fn index(Extension(page): Page) -> Result<Response, Problem> {
    let index = serve("index.html", page).map_err(broken)?;
    Ok(index.map_or_else(|| not_found("/docs/"), answer))
}

async fn file(
    Extension(page): Page,
    Segment(name): Segment,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let file = serve(&name, page).map_err(broken)?;
    Ok(file.map_or_else(|| not_found(uri.path()), answer))
}

fn answer(file: SwaggerFile<'_>) -> Response {
    let content_type = [(header::CONTENT_TYPE, file.content_type)];
    let encoding = file.gzpipped.then_some([(header::CONTENT_ENCODING, "gzip")]);
    (content_type, encoding, file.bytes.into_owned()).into_response()
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn broken(error: Box<dyn std::error::Error>) -> Problem {
    Problem(Error::internal(error.to_string()))
}
