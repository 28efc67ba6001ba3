//! The parts of the OpenAPI document that don't come from routes and views.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        Components, ContentBuilder, Header, Object, Ref, RefOr, Response, ResponseBuilder, Server,
        link::Link,
        path::{Operation, Parameter, PathItem},
        schema::Type,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{problem::ErrorView, schema::StatusKeyText};
use crate::call;

/// The description of `Idempotency-Key`.
pub const IDEMPOTENCY: &str = "Names this intended change, so that it can be sent again safely. A repeat within 24 hours gets the first answer, with `Idempotency-Replayed: true`, and changes nothing.";

/// The description of `If-Match`.
pub const IF_MATCH: &str = "Only if the alert still has one of these `ETag`s; `*`: whichever it has. A tag that is not ours, or weak, matches none.";

/// The document without routes.
#[derive(OpenApi)]
#[openapi(
    info(
        description = "The self-hosted alerts service for ledgers: flag a balance, a transaction or an identity, and take the resulting alert to a recorded decision.\n\n\
            Every call but health needs an API key, `Authorization: Bearer <key>` (or `X-Blnk-Key: <key>`), and sees only that key's organization. `X-Redflag-Actor: <name>` (1 to 200 characters) says on whose behalf a call is made. Every answer carries `X-Request-Id`, the caller's own or a new one, by which the log tells the call.\n\n\
            Failures answer `{\"error\": …, \"error_detail\": {\"code\": …}}`; the code is stable. A body holds at most 1 MiB. A path that there is not answers 404 (`GEN_NOT_FOUND`), a method that a path does not take 405 (`GEN_METHOD_NOT_ALLOWED`, with `Allow`).\n\n\
            The same service speaks gRPC (`redflag.v1`) on the same port.",
    ),
    servers(
        (url = "/"),
        (url = "/cloud", description = "The same calls under the path that some clients use."),
    ),
    tags(
        (name = "alerts", description = "Flagging ledger objects, and taking alerts to a decision."),
        (name = "history", description = "What happened to alerts: immutable events, chained by their hashes into one feed."),
        (name = "statuses", description = "Where alerts can stand: the built-in statuses and the organization's own."),
        (name = "health", description = "Whether the process runs and serves calls. Needs no key."),
    ),
    // Schemas that no body names.
    components(schemas(ErrorView, StatusKeyText)),
    security(("bearer" = []), ("blnk_key" = [])),
    modifiers(&Credentials),
)]
pub struct Document;

/// The headers that carry a key.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, as `redflag key create` shows it."));
        let blnk_key = ApiKey::Header(ApiKeyValue::with_description(
            "X-Blnk-Key",
            "The same key in the ledger core's own header.",
        ));
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        components.add_security_scheme("blnk_key", SecurityScheme::ApiKey(blnk_key));
    }
}

/// Completes a document that has its routes.
pub fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        if ["/healthz", "/readyz"].contains(&path.as_str()) {
            // Calls without a key exist under the first server only.
            item.servers = Some(vec![Server::new("/")]);
        }
        for operation in operations(item) {
            trace_answers(operation);
            mark_replays(operation);
            link_created(operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
    methods.into_iter().flatten()
}

/// Adds the header with the trace id to every answer.
fn trace_answers(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let header = text_header("The id that traces the call: the caller's own, or a new one.");
            response.headers.insert(call::REQUEST_ID.to_string(), RefOr::T(header));
        }
    }
}

/// Adds the header that marks a replayed answer to every change that can be repeated.
fn mark_replays(operation: &mut Operation) {
    let is_key = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(header) if header.name == "Idempotency-Key");
    if !operation.parameters.iter().flatten().any(is_key) {
        return;
    }
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            let header =
                text_header("`true` when this is the answer that was given first, and nothing changed now.");
            response.headers.insert("Idempotency-Replayed".to_owned(), RefOr::T(header));
        }
    }
}

/// The calls that take the id of an alert, each with the name of its parameter.
const ON_ALERTS: [(&str, &str); 4] = [
    ("get_alert", "alert_id"),
    ("update_alert", "id"),
    ("escalate_alert", "alert_id"),
    ("list_alert_events", "alert_id"),
];
/// The calls that take the key of a status, each with the name of its parameter.
const ON_STATUSES: [(&str, &str); 2] = [("update_status", "key"), ("delete_status", "key")];

/// Links the calls that create an alert or a status to the calls that take its id, so that tools can chain them.
fn link_created(operation: &mut Operation) {
    let (calls, id) = match operation.operation_id.as_deref() {
        Some("flag_entity") => (&ON_ALERTS[..], "$response.body#/anomaly_id"),
        Some("create_status") => (&ON_STATUSES[..], "$response.body#/key"),
        _ => return,
    };
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            for (call, parameter) in calls {
                let link = Link::builder().operation_id(*call).parameter(*parameter, id).build();
                response.links.insert((*call).to_owned(), RefOr::T(link));
            }
        }
    }
}

fn text_header(description: &str) -> Header {
    header(Type::String, description)
}

fn header(kind: Type, description: &str) -> Header {
    let mut header = Header::new(Object::builder().schema_type(kind));
    header.description = Some(description.to_owned());
    header
}

/// Declares failures that calls have in common, for use in their `responses`.
macro_rules! failures {
    ($(#[$doc:meta])* $name:ident: $($status:literal => $description:literal),+ $(,)?) => {
        $(#[$doc])*
        pub enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status, $description)),+].into_iter().map(failure).collect()
            }
        }
    };
}

failures! {
    /// The failures of every call that needs a key.
    CallErrors:
    400 => "The call breaks a rule: `GEN_VALIDATION_ERROR`, `ALERT_INVALID_ENTITY_ID`, `ALERT_UNKNOWN_STATUS`, `GEN_INVALID_PAGE_TOKEN`; `details.fields` lists every field at fault. Or it can't be read: `GEN_MALFORMED_REQUEST`.",
    401 => "`AUTH_MISSING_API_KEY`, `AUTH_INVALID_API_KEY` (also for a revoked one), `AUTH_EXPIRED_API_KEY`.",
    403 => "`AUTH_INSUFFICIENT_PERMISSIONS`: the key lacks a scope, which `details.missing_scope` names.",
    429 => "`GEN_RATE_LIMITED`: too many changes are waiting to be written; nothing was done, try again.",
    500 => "`GEN_INTERNAL`: something unexpected; the log has it under `details.request_id`.",
    503 => "`GEN_UNAVAILABLE`: the database is away or the server is shutting down; try again.",
    504 => "`GEN_DEADLINE_EXCEEDED`: the call took too long, and work on it has stopped.",
}
failures! {
    /// The further failures of every call with a body.
    BodyErrors:
    413 => "`GEN_PAYLOAD_TOO_LARGE`: the body has more than 1 MiB.",
    415 => "`GEN_UNSUPPORTED_MEDIA_TYPE`: the body is not `application/json`.",
}
failures! {
    /// The failure for an unknown alert.
    AlertNotFound:
    404 => "`ALERT_NOT_FOUND`: also for an id that is malformed or another organization's.",
}
failures! {
    /// The refusals of a flag.
    FlagRefused:
    409 => "`ALERT_DISPOSITION_REQUIRED`: the alert would start closed, and the organization closes none without a disposition. `IDEMPOTENCY_KEY_REUSED`: the key names another change.",
}
failures! {
    /// The refusals of a change of an alert.
    UpdateRefused:
    409 => "`ALERT_DISPOSITION_REQUIRED`: the organization closes no alert without a disposition and a reason. `ALERT_DEDUP_KEY_IN_USE`: another alert with the same `dedup_key` is open; `details.anomaly_id` names it. `IDEMPOTENCY_KEY_REUSED`: the key names another change.",
    412 => "`ALERT_VERSION_CONFLICT`: somebody else changed the alert first; `details.current_version` is its version now.",
}
failures! {
    /// The refusals of an escalation.
    EscalationRefused:
    409 => "`IDEMPOTENCY_KEY_REUSED`: the key names another change.",
    412 => "`ALERT_VERSION_CONFLICT`: somebody else changed the alert first; `details.current_version` is its version now.",
}
failures! {
    /// The failure for an unknown status.
    StatusNotFound:
    404 => "`STATUS_NOT_FOUND`: the organization has no such status.",
}
failures! {
    /// The refusals of a new status.
    DuplicateKey:
    409 => "`STATUS_DUPLICATE_KEY`: the organization has a status with that key, perhaps a built-in one. `IDEMPOTENCY_KEY_REUSED`: the key names another change.",
}
failures! {
    /// The refusals of a change of a status.
    BuiltinStatus:
    409 => "`STATUS_BUILTIN`: a built-in status can't be changed. `IDEMPOTENCY_KEY_REUSED`: the key names another change.",
}
failures! {
    /// The refusals to delete a status.
    StatusInUse:
    409 => "`STATUS_IN_USE`: alerts still use the status. `STATUS_BUILTIN`: a built-in status can't be deleted. `IDEMPOTENCY_KEY_REUSED`: the key names another change.",
}
failures! {
    /// The failure of a health check.
    NotServing:
    503 => "`GEN_UNAVAILABLE`: the service is shutting down, or the database is away.",
}

fn failure((status, description): (u16, &str)) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name(ErrorView::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(description).content("application/json", content);
    let response = match status {
        401 => response.header("WWW-Authenticate", text_header("`Bearer`.")),
        429 | 503 => {
            response.header("Retry-After", header(Type::Integer, "After how many seconds to try again."))
        }
        _ => response,
    };
    (status.to_string(), RefOr::T(response.build()))
}
