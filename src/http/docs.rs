//! The OpenAPI document and the page that shows it, without a key and without files from other hosts.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::{Config, serve};

use super::{
    answer::{NO_SNIFF, json_bytes},
    path::Segment,
    problem::not_found,
};

/// The files of the page.
const FILES: [&str; 8] = [
    INDEX,
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];
const INDEX: &str = "index.html";
/// Restricts the page to its own files, and forbids other pages to frame it. Its script sets inline styles, and its style
/// sheet holds images as data URLs.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
    ),
);

/// A file of the page; responses share its bytes.
#[derive(Clone)]
struct File {
    content_type: String,
    bytes: Bytes,
}

/// The files of the page by their names.
type Page = Arc<HashMap<&'static str, File>>;

/// The route of the document.
pub fn document(document: String) -> Router {
    let document = Bytes::from(document);
    Router::new().route("/openapi.json", get(|| async { json_bytes(StatusCode::OK, document) }))
}

/// The routes of the page that shows it.
pub fn pages() -> Router {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(index))
        .route("/docs/{file}", get(file))
        .with_state(page())
}

fn page() -> Page {
    // Without this the page sends the document to a validator on the internet.
    let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
    let load = |name| {
        let file = serve(name, Arc::clone(&config)).ok()??;
        let bytes = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Some((name, File { content_type: file.content_type, bytes }))
    };
    Arc::new(FILES.into_iter().filter_map(load).collect())
}

async fn index(page: State<Page>, uri: OriginalUri) -> Response {
    answer(&page, INDEX, &uri)
}

async fn file(page: State<Page>, Segment(name): Segment, uri: OriginalUri) -> Response {
    answer(&page, &name, &uri)
}

fn answer(page: &Page, name: &str, OriginalUri(uri): &OriginalUri) -> Response {
    match page.get(name) {
        Some(file) => {
            // Content types are constants of the crate, so they are valid header values.
            let content_type = HeaderValue::from_str(&file.content_type);
            let content_type = content_type.unwrap_or_else(|_| HeaderValue::from_static(""));
            ([(header::CONTENT_TYPE, content_type), NO_SNIFF, POLICY], file.bytes.clone()).into_response()
        }
        None => not_found(uri.path()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_there() {
        assert_eq!(page().len(), FILES.len());
    }
}
