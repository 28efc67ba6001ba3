//! Secrets are printed nowhere but once, and texts of alerts are never logged.

use serde_json::json;

use super::{Place, eventually};
use crate::support::app::KEY;

const WORDS: [&str; 4] = ["a-title-to-keep", "a-description-to-keep", "a-value-to-keep", "a-filter-to-keep"];

/// Returns true when `bytes` contain `text`.
fn hold(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Reads the key that a start has printed.
fn printed_key(log: &str) -> Option<&str> {
    log.split_whitespace().find(|word| word.starts_with("rf_"))
}

#[tokio::test]
async fn the_first_key_is_printed_once_and_works() {
    let place = Place::new();
    let server = place.serve(&[], &[]);
    let address = server.url("");
    assert_eq!(server.line, format!("redflag listening on {address} (gRPC + REST)\n"));
    // That follows the address.
    eventually("it says what to do next", async || place.log().contains("/docs for all calls")).await;
    let log = place.log();
    let key = printed_key(&log).unwrap();
    assert_eq!((server.list_with(key).await, key.len()), (200, 46));
    assert!(
        log.contains(&format!("curl {address}/alerts/flag/bln_1 -H 'Authorization: Bearer {key}'")),
        "{log}"
    );
    assert_eq!(server.stop("-TERM"), Some(0));
    let server = place.serve(&[], &[]);
    assert_eq!(server.list_with(key).await, 200);
    assert_eq!(server.stop("-TERM"), Some(0));
    // The first start prints the key twice: alone and in the example command.
    assert_eq!(place.log().matches("rf_").count(), 2);
    assert!(!hold(&place.database_bytes(), key));
}

#[tokio::test]
async fn a_chosen_first_key_works_and_is_never_printed() {
    let place = Place::new();
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY)], &[]);
    assert_eq!(server.list_with(KEY).await, 200);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(place.log().contains("the key given as REDFLAG_BOOTSTRAP_KEY"), "{}", place.log());
    // Once there is a key, another one is not made.
    let other = KEY.replace("rf_", "rf_other-");
    let server = place.serve(&[("REDFLAG_BOOTSTRAP_KEY", &other)], &[]);
    assert_eq!((server.list_with(KEY).await, server.list_with(&other).await), (200, 401));
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(!place.log().contains(KEY) && !place.log().contains(&other));
}

#[tokio::test]
async fn the_log_holds_no_secrets_and_no_text_of_alerts() {
    for level in ["debug", "trace,h2=debug,hyper=debug"] {
        let place = Place::new();
        let server =
            place.serve(&[("REDFLAG_BOOTSTRAP_KEY", KEY), ("REDFLAG_LOG_FORMAT", "json")], &["--log", level]);
        let [title, description, value, filter] = WORDS;
        let body = json!({ "title": title, "description": description, "metadata": { "note": value } });
        let client = reqwest::Client::new();
        for path in ["/alerts/flag/bln_1", "/alerts/flag/acc_1", "/nowhere"] {
            client.post(server.url(path)).bearer_auth(KEY).json(&body).send().await.unwrap();
        }
        let list = format!("/alerts?assigned_to={filter}&other={filter}");
        client.get(server.url(&list)).header("x-blnk-key", KEY).send().await.unwrap();
        let wrong = KEY.replace("everything", "not-a-thing");
        assert_eq!(server.list_with(&wrong).await, 401);
        assert_eq!(server.stop("-TERM"), Some(0));
        let log = place.log();
        assert!(
            log.lines().filter(|line| line.contains("\"code\"") && line.contains("\"request_id\"")).count()
                >= 5,
            "{log}"
        );
        for secret in [&[KEY, &wrong], WORDS.as_slice()].concat() {
            let at = log.lines().find(|line| line.contains(secret));
            assert_eq!(at, None, "{secret} is in the log");
        }
        assert!(!hold(&place.database_bytes(), KEY));
        assert!(hold(&place.database_bytes(), description));
    }
}
