//! The documented calls, in the order of the contract. A client that was written for the ledger's cloud changes only its
//! base URL and its key.

use rstest::rstest;
use serde_json::Value;

use super::Answer;
use crate::support::{DatabaseKind, TestApp, app::KEY};

/// A documented call with its documented answer.
struct Call {
    /// Method and path, as documented.
    line: &'static str,
    /// The value of the path's parameter; none for `{alert_id}`, the alert of the first call.
    named: &'static str,
    /// The body, if any.
    body: &'static str,
    status: u16,
    /// The objects in the answer.
    answer: &'static [Shape],
}

/// The fields of an object: documented ones first, then those that were added since.
type Shape = &'static [(&'static str, Is)];

/// The kind of a field's value.
#[derive(Clone, Copy)]
enum Is {
    Text,
    Texts,
    /// An instant in UTC, written with six digits of a second and `Z`.
    Time,
    Object,
    Number,
    TextOrNull,
    TimeOrNull,
    ObjectOrNull,
    Truth,
    Each(Shape),
}

const ALERT: Shape = &[
    ("anomaly_id", Is::Text),
    ("title", Is::Text),
    ("description", Is::Text),
    ("type", Is::Text),
    ("assigned_to", Is::Text),
    ("escalated_to", Is::Texts),
    ("status", Is::Text),
    ("created_at", Is::Time),
    ("updated_at", Is::Time),
    ("affected_balances", Is::Texts),
    ("affected_identities", Is::Texts),
    ("affected_transactions", Is::Texts),
    // Added.
    ("organization_id", Is::Text),
    ("status_class", Is::Text),
    ("severity", Is::TextOrNull),
    ("metadata", Is::Object),
    ("version", Is::Number),
    ("disposition", Is::TextOrNull),
    ("disposition_reason", Is::Text),
    ("closed_at", Is::TimeOrNull),
    ("closed_by", Is::ObjectOrNull),
    ("dedup_key", Is::TextOrNull),
    ("occurrence_count", Is::Number),
    ("last_occurred_at", Is::Time),
    ("previous_anomaly_id", Is::TextOrNull),
];

/// Added to the answer of flagging.
const FOLDING: Shape = &[("deduplicated", Is::Truth)];

const STATUS: Shape = &[
    ("organization_id", Is::Text),
    ("key", Is::Text),
    ("name", Is::Text),
    ("colour", Is::Text),
    ("created_at", Is::Time),
    ("updated_at", Is::Time),
    // Added.
    ("class", Is::Text),
];

const ALERTS: Shape = &[("data", Is::Each(ALERT)), ("next_page_token", Is::Text)];

const STATUSES: Shape = &[
    ("data", Is::Each(STATUS)),
    ("allowed_colours", Is::Texts),
    // Added.
    ("builtin", Is::Each(STATUS)),
    ("next_page_token", Is::Text),
];

const CALLS: [Call; 8] = [
    Call {
        line: "POST /alerts/flag/{id}",
        named: "bln_20f02af6-3728-4d37-9b5a-c7ed080f09df",
        body: r#"{"title": "Balance threshold exceeded", "description": "Account balance has exceeded the maximum allowed limit."}"#,
        status: 201,
        answer: &[ALERT, FOLDING],
    },
    Call {
        line: "PUT /alerts/flag/{alert_id}",
        named: "",
        body: r#"{"title": "Threshold", "description": "Looked into.", "status": "INVESTIGATING"}"#,
        status: 200,
        answer: &[ALERT],
    },
    Call { line: "GET /alerts/{alert_id}", named: "", body: "", status: 200, answer: &[ALERT] },
    Call { line: "GET /alerts", named: "", body: "", status: 200, answer: &[ALERTS] },
    Call {
        line: "POST /alerts/statuses",
        named: "",
        body: r##"{"name": "Pending Review", "colour": "#3B82F6"}"##,
        status: 201,
        answer: &[STATUS],
    },
    Call { line: "GET /alerts/statuses", named: "", body: "", status: 200, answer: &[STATUSES] },
    Call {
        line: "PUT /alerts/statuses/{key}",
        named: "PENDING_REVIEW",
        body: r##"{"name": "Second look", "colour": "#F59E0B"}"##,
        status: 200,
        answer: &[STATUS],
    },
    Call {
        line: "DELETE /alerts/statuses/{key}",
        named: "pending_review",
        body: "",
        status: 200,
        answer: &[&[("message", Is::Text)]],
    },
];

fn check(value: &Value, is: Is) {
    let texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let fits = match is {
        Is::Text => value.is_string(),
        Is::Texts => texts(value),
        Is::Time => value.as_str().is_some_and(is_written_time),
        Is::Object => value.is_object(),
        Is::Number => value.is_number(),
        Is::TextOrNull => value.is_string() || value.is_null(),
        Is::TimeOrNull => value.is_null() || value.as_str().is_some_and(is_written_time),
        Is::ObjectOrNull => value.is_object() || value.is_null(),
        Is::Truth => value.is_boolean(),
        Is::Each(shape) => {
            let list = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
            assert!(!list.is_empty());
            for entry in list {
                check_object(entry, &[shape]);
            }
            true
        }
    };
    assert!(fits, "{value}");
}

fn check_object(value: &Value, parts: &[Shape]) {
    let shape: Vec<_> = parts.concat();
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
    for (field, is) in &shape {
        check(object.get(*field).unwrap_or_else(|| panic!("no {field} in {value}")), *is);
    }
    let fields = object.keys().filter(|field| !shape.iter().any(|(known, _)| known == field));
    assert_eq!(
        fields.count(),
        0,
        "more in {value} than {:?}",
        shape.iter().map(|(f, _)| f).collect::<Vec<_>>()
    );
}

fn is_written_time(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "0000-00-00T00:00:00.000000Z"
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_documented_call_gets_its_documented_answer(
    #[case] kind: DatabaseKind,
    #[values("", "/cloud")] base: &str,
    #[values(("authorization", "Bearer "), ("x-blnk-key", ""))] (header, scheme): (&str, &str),
) {
    let app = TestApp::start(kind).await;
    let mut alert_id = String::new();
    for documented in CALLS {
        let (method, path) = documented.line.split_once(' ').unwrap();
        let path = path.replace("{alert_id}", &alert_id);
        let path =
            format!("{base}{}", path.replace("{id}", documented.named).replace("{key}", documented.named));
        let mut request =
            app.rest_without_key(method.parse().unwrap(), &path).header(header, format!("{scheme}{KEY}"));
        if !documented.body.is_empty() {
            request = request.header("content-type", "application/json").body(documented.body);
        }
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, documented.status, "{}: {answer:?}", documented.line);
        check_object(&answer.body, documented.answer);
        if let Some(made) = answer.body["anomaly_id"].as_str() {
            alert_id = made.to_owned();
        }
        if documented.line.starts_with("POST /alerts/flag") {
            assert_eq!(answer.header("location"), format!("{base}/alerts/{alert_id}"));
        }
    }
}

#[test]
fn the_migration_guide_lists_the_same_calls() {
    let guide = include_str!("../../../docs/moving-from-blnk-cloud.md");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<_> = rows
        .filter_map(|row| {
            let (call, rest) = row.split_once("` | ")?;
            Some((call.to_owned(), rest.split_once(',')?.0.parse::<u16>().ok()?))
        })
        .collect();
    assert_eq!(listed, CALLS.map(|call| (call.line.to_owned(), call.status)));
}
