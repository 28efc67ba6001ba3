//! Organizations, keys and the schema, also while a server runs on the same database.

use serde_json::{Value, json};

use super::{Place, eventually, failure, json_of, run, text};
use crate::support::app::KEY;

/// The arguments with the database and `--json`.
fn on<'a>(url: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--database-url", url, "--json"]].concat()
}

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const ORGANIZATION: [&str; 4] = ["created_at", "name", "organization_id", "require_disposition"];
const API_KEY: [&str; 10] = [
    "created_at",
    "expires_at",
    "key_id",
    "last_used_at",
    "name",
    "organization_id",
    "owner",
    "prefix",
    "revoked_at",
    "scopes",
];

#[tokio::test]
async fn keys_are_made_listed_and_revoked_while_a_server_runs() {
    let place = Place::new();
    let url = place.database_url();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    let org = json_of(&on(&url, &["org", "create", "--name", "Payments"]));
    assert_eq!((fields(&org), &org["name"]), (ORGANIZATION.to_vec(), &json!("Payments")));
    let orgs = json_of(&on(&url, &["org", "list"]));
    assert_eq!((&orgs[0]["name"], &orgs[1]), (&json!("default"), &org));

    let create = [
        "key",
        "create",
        "--org",
        "Payments",
        "--name",
        "ci",
        "--owner",
        "ops",
        "--scope",
        "alerts:write,alerts:read",
    ];
    let made = json_of(&on(&url, &create));
    let secret = made["key"].as_str().unwrap();
    assert!(secret.starts_with("rf_") && secret.starts_with(made["prefix"].as_str().unwrap()));
    assert_eq!(made["scopes"], json!(["alerts:read", "alerts:write"]));
    assert_eq!((&made["expires_at"], &made["organization_id"]), (&Value::Null, &org["organization_id"]));
    assert_eq!(server.list_with(secret).await, 200);

    let id = org["organization_id"].as_str().unwrap();
    let listed = json_of(&on(&url, &["key", "list", "--org", id]));
    assert_eq!((listed.as_array().unwrap().len(), fields(&listed[0])), (1, API_KEY.to_vec()));
    let revoked = json_of(&on(&url, &["key", "revoke", made["key_id"].as_str().unwrap()]));
    assert_eq!((fields(&revoked), revoked["revoked_at"].is_string()), (API_KEY.to_vec(), true));
    eventually("the revoked key is refused", async || server.list_with(secret).await == 401).await;
    assert_eq!(json_of(&on(&url, &["key", "list"])).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_expires_stops_working() {
    let place = Place::new();
    let url = place.database_url();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    let create = ["key", "create", "--name", "ci", "--owner", "ops", "--scope", "*", "--expires-in"];
    let lasting = json_of(&on(&url, &[create.as_slice(), &["30d"]].concat()));
    assert!(lasting["expires_at"].is_string());
    assert_eq!(server.list_with(lasting["key"].as_str().unwrap()).await, 200);
    let over = json_of(&on(&url, &[create.as_slice(), &["1ms"]].concat()));
    assert_eq!(server.list_with(over["key"].as_str().unwrap()).await, 401);
}

#[test]
fn only_the_secret_of_a_new_key_goes_to_standard_output() {
    let place = Place::new();
    let url = place.database_url();
    place.make_database();
    assert!(run(&["org", "create", "--name", "one", "--database-url", &url]).status.success());
    let made =
        run(&["key", "create", "--name", "ci", "--owner", "ops", "--scope", "*", "--database-url", &url]);
    let secret = text(&made.stdout).trim_end();
    assert!(secret.starts_with("rf_") && secret.len() == 46, "{secret}");
    assert!(text(&made.stderr).contains("shown only now") && !text(&made.stderr).contains(secret));
    let listed = run(&["key", "list", "--database-url", &url]);
    assert!(text(&listed.stdout).contains("ci") && !text(&listed.stdout).contains(secret));
}

#[test]
fn missing_and_ambiguous_names_are_errors() {
    let place = Place::new();
    let url = place.database_url();
    place.make_database();
    for name in ["one", "two"] {
        json_of(&on(&url, &["org", "create", "--name", name]));
    }
    let create = ["key", "create", "--name", "n", "--owner", "o", "--scope"];
    for (args, message) in [
        (vec!["org", "create", "--name", "one"], "there is an organization \"one\" already"),
        ([create.as_slice(), &["*"]].concat(), "there are several organizations: say which with --org"),
        ([create.as_slice(), &["*", "--org", "three"]].concat(), "there is no organization \"three\""),
        (vec!["key", "list", "--org", "three"], "there is no organization \"three\""),
        (vec!["key", "revoke", "key_00000000-0000-7000-8000-000000000000"], "there is no key \"key_0000"),
    ] {
        let (code, line) = failure(&on(&url, &args));
        assert!(code == Some(1) && line.starts_with(message), "{args:?}: {line}");
    }
}

#[test]
fn the_schema_is_checked_and_brought_up_to_date() {
    let place = Place::new();
    let url = place.database_url();
    let check = ["migrate", "--check", "--database-url", &url];
    let (code, line) = failure(&check);
    assert!(code == Some(1) && line.starts_with("there is no database at /"), "{line}");
    assert!(place.database_bytes().is_empty(), "a check makes nothing");
    for verb in [
        &["key", "list"][..],
        &["org", "list"],
        &["org", "create", "--name", "one"],
        &["key", "revoke", "key_1"],
    ] {
        let (code, line) = failure(&[verb, &["--database-url", &url]].concat());
        assert!(code == Some(1) && line.starts_with("there is no database at /"), "{line}");
        assert!(place.database_bytes().is_empty(), "{verb:?} makes a database");
    }
    place.make_empty_database();
    let (code, line) = failure(&check);
    assert!(code == Some(1) && line.starts_with("the database's schema is version 0, "), "{line}");
    for args in [&["migrate"][..], &["migrate"], &["migrate", "--check"]] {
        let output = run(&[args, &["--database-url", &url]].concat());
        let message = text(&output.stdout);
        assert!(
            output.status.success() && message.starts_with("the database's schema is up to date: version "),
            "{message}"
        );
    }
}
