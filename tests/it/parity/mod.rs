//! One scenario through both faces and on both stores: the same alerts, the same reasons, the same fields at fault.

mod decisions;
mod face;
mod grpc;
mod history;
mod message;
mod refusals;
mod repeats;
mod rest;
mod scenario;
mod view;

use std::collections::{HashMap, HashSet};

use redflag::error::Reason;
use serde_json::Value;

use self::{face::Face, scenario::Scenario};
use crate::support::{DatabaseKind, TestApp, chain::hash_of};

/// What one caller can't bring about, or only over REST: there is nothing at a path, or not by that method, or not as JSON.
const UNPROVOKED: [Reason; 7] = [
    Reason::NotFound,
    Reason::MethodNotAllowed,
    Reason::UnsupportedMediaType,
    Reason::DeadlineExceeded,
    Reason::Unavailable,
    Reason::Internal,
    Reason::RateLimited,
];

/// What was asked, and what came of it.
type Step = (Value, Value);

async fn transcript(kind: DatabaseKind, face: fn(&TestApp) -> Face) -> Vec<Step> {
    let app = TestApp::start(kind).await;
    let steps = Scenario::new(&app, face(&app)).await.play().await;
    assert_hashed(&steps);
    let mut seen = HashMap::new();
    let mut told_apart = |value| told_apart(value, &mut seen);
    steps.into_iter().map(|(asked, answer)| (told_apart(asked), told_apart(answer))).collect()
}

/// Checks that events, as they are told, have the hashes that they claim.
fn assert_hashed(steps: &[Step]) {
    let entries = steps.iter().flat_map(|(_, answer)| answer["data"].as_array().into_iter().flatten());
    let events: Vec<_> = entries.filter(|entry| entry["event_id"].is_string()).collect();
    assert!(!events.is_empty());
    for event in events {
        assert_eq!(event["hash"], hash_of(event), "{event}");
    }
}

/// The value with each id, each hash and each instant replaced by the order in which it first appeared: what differs from run to
/// run is gone, what is the same within a run stays the same.
fn told_apart(value: Value, seen: &mut HashMap<String, usize>) -> Value {
    match value {
        Value::String(text) if differs_from_run_to_run(&text) => {
            let next = seen.len();
            Value::String(format!("#{}", seen.entry(text).or_insert(next)))
        }
        Value::Array(list) => list.into_iter().map(|value| told_apart(value, seen)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(field, value)| {
                let is_token = field.ends_with("page_token") && value != "";
                let value = if is_token { "[token]".into() } else { told_apart(value, seen) };
                (field, value)
            })
            .collect(),
        other => other,
    }
}

fn differs_from_run_to_run(text: &str) -> bool {
    let prefixed = ["ano_", "org_", "key_", "evt_"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let is_uuid = |text: &str| text.len() == 36 && text.split('-').all(is_hex);
    let is_time = text.len() == 27 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    is_uuid(prefixed.unwrap_or(text)) || is_time || text.len() == 64 && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn both_faces_say_the_same_on_both_stores() {
    let expected = transcript(DatabaseKind::Sqlite, Face::rest).await;
    let reasons: HashSet<_> = expected.iter().filter_map(|(_, answer)| answer["reason"].as_str()).collect();
    let provoked = Reason::ALL.iter().filter(|reason| !UNPROVOKED.contains(reason));
    assert_eq!(reasons, provoked.map(|reason| reason.as_str()).collect());
    for (kind, name, face) in [
        (DatabaseKind::Sqlite, "gRPC", Face::grpc as fn(&TestApp) -> Face),
        (DatabaseKind::Postgres, "REST", Face::rest),
        (DatabaseKind::Postgres, "gRPC", Face::grpc),
    ] {
        let found = transcript(kind, face).await;
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name} on {kind:?} against REST on Sqlite");
        }
    }
}
