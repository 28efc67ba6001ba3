//! Effects and output of client verbs.

use std::fs;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Place, text};
use crate::support::{DatabaseKind, app::KEY};

/// Removes the fields that differ from alert to alert.
fn common(mut answer: Value) -> Value {
    let object = answer.as_object_mut().unwrap();
    for field in ["anomaly_id", "created_at", "updated_at", "last_occurred_at"] {
        assert!(object[field].is_string(), "{field}");
        object.remove(field);
    }
    answer
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_flag_can_set_every_field(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    let body = json!({
        "title": "t", "description": "d", "additional_entity_ids": ["txn_1"], "status": "INVESTIGATING",
        "severity": "high", "assigned_to": "ana", "escalated_to": ["bob"], "metadata": { "a": 1, "b": [1.5] },
    });
    let by_rest = place.rest(Method::POST, "/alerts/flag/bln_1", &body).await;
    let args = [
        ["flag", "bln_1"],
        ["--title", "t"],
        ["--description", "d"],
        ["--entity", "txn_1"],
        ["--status", "investigating"],
        ["--severity", "HIGH"],
        ["--assigned-to", "ana"],
        ["--escalated-to", "bob"],
        ["--metadata", r#"{"a": 1, "b": [1.5]}"#],
    ];
    assert_eq!(common(place.json(args.as_flattened())), common(by_rest));
    let printed = place.printed(&["flag", "bln_1", "--description", "d", "--dedup-key", "k"]);
    assert!(printed.starts_with("made ano_") && printed.ends_with(" (FLAGGED)\n"), "{printed}");
    let printed = place.printed(&["flag", "bln_1", "--description", "d", "--dedup-key", "k"]);
    assert!(
        printed.starts_with("folded into ano_") && printed.ends_with(" (FLAGGED), flagged 2 times\n"),
        "{printed}"
    );
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn json_is_what_rest_answers(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    let id = place.flagged("bln_1");
    let updated =
        place.json(&["update", &id, "--status", "resolved", "--disposition", "benign", "--actor", "ana"]);
    assert_eq!(updated, place.rest_get(&format!("/alerts/{id}")).await);
    let escalated =
        place.json(&["escalate", &id, "--to", "bob", "--to", "eve", "--note", "why", "--actor", "Ána"]);
    assert_eq!(escalated, place.rest_get(&format!("/alerts/{id}")).await);
    assert_eq!(place.json(&["get", &id]), escalated);
    assert_eq!(place.json(&["events", &id]), place.rest_get(&format!("/alerts/{id}/events")).await);
    for (args, query) in [
        (vec!["list"], ""),
        (vec!["list", "--limit", "1", "--include-total"], "?page_size=1&include_total=true"),
        (vec!["list", "--oldest-first"], "?order=asc"),
    ] {
        place.flagged("txn_1");
        assert_eq!(place.json(&args), place.rest_get(&format!("/alerts{query}")).await, "{args:?}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_filter_selects_alerts(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    let (one, two) = (place.flagged("bln_1"), place.flagged("txn_1"));
    place.json(&["escalate", &one, "--to", "eve"]);
    let one = place.json(&["update", &one, "--status", "resolved", "--disposition", "benign"]);
    let two = place.json(&["update", &two, "--severity", "low", "--assigned-to", "bob"]);
    let at = |alert: &Value, field: &str| alert[field].as_str().unwrap().to_owned();
    for (flag, value, parameter, kept) in [
        ("--status", "resolved".to_owned(), "status", &one),
        ("--status-class", "closed".to_owned(), "status_class", &one),
        ("--disposition", "BENIGN".to_owned(), "disposition", &one),
        ("--type", "balance".to_owned(), "type", &one),
        ("--entity", "txn_1".to_owned(), "entity_id", &two),
        ("--severity", "low".to_owned(), "severity", &two),
        ("--assigned-to", "bob".to_owned(), "assigned_to", &two),
        ("--escalated-to", "eve".to_owned(), "escalated_to", &one),
        ("--created-after", at(&one, "created_at"), "created_after", &two),
        ("--created-before", at(&two, "created_at"), "created_before", &one),
        ("--updated-after", at(&one, "updated_at"), "updated_after", &two),
        ("--updated-before", at(&two, "updated_at"), "updated_before", &one),
    ] {
        let listed = place.json(&["list", flag, &value]);
        assert_eq!(listed["data"], json!([kept]), "{flag}");
        assert_eq!(listed, place.rest_get(&format!("/alerts?{parameter}={value}")).await, "{flag}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn lists_read_several_pages(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    for count in 0..1_003 {
        place.rest(Method::POST, &format!("/alerts/flag/bln_{count}"), &json!({ "description": "d" })).await;
    }
    let all = place.json(&["list", "--all"]);
    assert_eq!((all["data"].as_array().unwrap().len(), &all["next_page_token"]), (1_003, &json!("")));
    let first = place.json(&["list", "--limit", "1001"]);
    assert_eq!(first["data"].as_array().unwrap().len(), 1_001);
    let token = first["next_page_token"].as_str().unwrap();
    let rest = place.json(&["list", "--page-token", token]);
    assert_eq!(rest["data"].as_array().unwrap()[..], all["data"].as_array().unwrap()[1_001..]);

    let output = place.run(&["list", "--limit", "2", "--include-total"]);
    assert_eq!(text(&output.stdout).lines().count(), 3);
    let printed = text(&output.stderr);
    assert!(printed.starts_with("1003 in all\nthere are more: --all, or --page-token "), "{printed}");
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_update_changes_the_given_fields(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    let id = place.flagged("bln_1");
    let fields = [
        ["update", &id],
        ["--title", "t"],
        ["--severity", "low"],
        ["--assigned-to", ""],
        ["--escalated-to", "bob"],
        ["--balance", "bln_2"],
        ["--identity", "idt_1"],
        ["--transaction", "txn_1"],
        ["--metadata", "{\"a\":1}"],
        ["--disposition", "benign"],
        ["--disposition-reason", "r"],
        ["--expected-version", "1"],
        ["--note", "n"],
    ];
    let alert = place.json(fields.as_flattened());
    assert_eq!(
        json!([
            alert["title"],
            alert["severity"],
            alert["assigned_to"],
            alert["escalated_to"],
            alert["metadata"]
        ]),
        json!(["t", "low", "", ["bob"], { "a": 1 }])
    );
    assert_eq!(
        json!([alert["affected_balances"], alert["affected_identities"], alert["affected_transactions"]]),
        json!([["bln_2"], ["idt_1"], ["txn_1"]])
    );
    let contradicting = place.run(&["update", &id, "--title", "t", "--clear", "title"]);
    assert_eq!(contradicting.status.code(), Some(2), "{}", text(&contradicting.stderr));
    let clear =
        ["title", "severity", "metadata", "escalated_to", "affected_identities", "disposition_reason"];
    let args: Vec<_> = clear.iter().flat_map(|field| ["--clear", field]).collect();
    let alert = place.json(&[&["update", &id], args.as_slice()].concat());
    assert_eq!(json!([alert["title"], alert["severity"], alert["metadata"]]), json!(["", null, {}]));
    assert_eq!(
        json!([alert["escalated_to"], alert["affected_identities"], alert["disposition_reason"]]),
        json!([[], [], ""])
    );
    assert_eq!(json!([alert["escalated_to"], alert["disposition"]]), json!([[], "BENIGN"]));
    assert_eq!(place.printed(&["update", &id, "--note", "only"]), format!("{id} is FLAGGED, version 3\n"));
    // The same request id makes a repeat.
    let named = ["update", &id, "--status", "RESOLVED", "--request-id", "mine"];
    assert_eq!(place.json(&named), place.json(&named));
    let events = place.json(&["events", &id]);
    assert_eq!(events["data"][4]["idempotency_key"], "mine");
    assert_eq!(events["data"].as_array().unwrap().len(), 5);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn statuses_are_made_changed_listed_and_deleted(#[case] kind: DatabaseKind) {
    let place = Place::on(kind).await;
    let create = ["status", "create", "--name", "Pending Review", "--colour", "#3b82f6", "--class", "open"];
    assert_eq!(place.printed(&create), "made the status PENDING_REVIEW (open)\n");
    let update = ["status", "update", "pending_review", "--name", "Pending"];
    let updated = place.json(&update);
    let listed = place.rest_get("/alerts/statuses").await;
    assert_eq!((&updated, &updated["name"]), (&listed["data"][0], &json!("Pending")));
    assert_eq!(place.json(&["status", "list"]), listed);
    let printed = place.printed(&["status", "list"]);
    let (first, last) = (printed.lines().next().unwrap(), printed.lines().last().unwrap());
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["KEY", "CLASS", "COLOUR", "NAME"]);
    assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["PENDING_REVIEW", "open", "#3B82F6", "Pending"]);
    let deleted = place.json(&["status", "delete", "PENDING_REVIEW"]);
    assert_eq!(deleted, json!({ "message": "Status deleted" }));
    assert_eq!(place.json(&["status", "list"])["data"], json!([]));
}

#[tokio::test]
async fn a_description_can_come_from_standard_input() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    let flag = ["flag", "bln_1", "--description", "-", "--json"];
    let output = place.run_with(&flag, "a line\nand é\n\n".as_bytes());
    let alert: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(alert["description"], "a line\nand é");
    let id = alert["anomaly_id"].as_str().unwrap();
    assert!(place.run_with(&["update", id, "--description", "-"], b"other").status.success());
    assert_eq!(place.json(&["get", id])["description"], "other");
    let failed = |input: &[u8]| super::super::failure_of(&place.run_with(&flag, input));
    assert_eq!(failed(b"").0, Some(4));
    assert_eq!(
        failed(b"\xff\xfe"),
        (Some(1), "can't read standard input: stream did not contain valid UTF-8".to_owned())
    );
    let (code, printed) = failed(&vec![b'a'; 2 << 20]);
    assert_eq!((code, printed.as_str()), (Some(1), "standard input holds more than 1048576 bytes"));
}

#[tokio::test]
async fn the_key_can_come_from_a_file_only() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{KEY}\n")).unwrap();
    let mut list = place.command(&["list", "--api-key-file", file.path().to_str().unwrap()]);
    assert!(list.env_remove("REDFLAG_API_KEY").output().unwrap().status.success());
    let (code, printed) = place.failure(&["list", "--api-key-file", "/nowhere/at/all"]);
    assert_eq!(
        (code, printed.as_str()),
        (Some(1), "can't read the key file /nowhere/at/all: No such file or directory (os error 2)")
    );
    assert_eq!(place.failure(&["list", "--api-key", KEY]).0, Some(2));
}
