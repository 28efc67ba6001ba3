//! Canonical JSON (RFC 8785), which is what events are hashed of.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The canonical form of a value.
///
/// # Panics
/// Never: a JSON value has text keys and finite numbers, which always have a canonical form.
pub fn canonical(value: &Value) -> String {
    let mut json = String::new();
    push(&mut json, value);
    json
}

/// Appends the canonical form of a value. What most events hold is written directly; fractions, numbers that a double
/// rounds, and names beyond ASCII are left to a library, which takes many times as long for all else.
pub fn push(json: &mut String, value: &Value) {
    match value {
        Value::Null => json.push_str("null"),
        Value::Bool(truth) => json.push_str(if *truth { "true" } else { "false" }),
        Value::String(text) => push_text(json, text),
        Value::Number(number) => match number.as_i64().filter(|whole| is_exact(*whole)) {
            // Writing to a string never fails.
            Some(whole) => _ = write!(json, "{whole}"),
            None => push_any(json, value),
        },
        Value::Array(list) => push_all(json, ['[', ']'], list.iter(), push),
        Value::Object(map) if are_in_order(map) => {
            push_all(json, ['{', '}'], map.iter(), |json, (name, value)| {
                push_text(json, name);
                json.push(':');
                push(json, value);
            });
        }
        Value::Object(_) => push_any(json, value),
    }
}

/// Appends text between quotes.
///
/// # Panics
/// Never: all text has a JSON form.
pub fn push_text(json: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().any(needs_escape) {
        // Proven by there being nothing in text that JSON can't hold.
        json.push_str(&serde_json::to_string(text).expect("text has a JSON form"));
        return;
    }
    json.push('"');
    json.push_str(text);
    json.push('"');
}

fn push_any(json: &mut String, value: &Value) {
    // Proven by what a JSON value can hold.
    json.push_str(&serde_json_canonicalizer::to_string(value).expect("a JSON value has a canonical form"));
}

fn push_all<T>(
    json: &mut String,
    [open, close]: [char; 2],
    entries: impl Iterator<Item = T>,
    push: impl Fn(&mut String, T),
) {
    json.push(open);
    for (index, entry) in entries.enumerate() {
        if index > 0 {
            json.push(',');
        }
        push(json, entry);
    }
    json.push(close);
}

/// Returns true where a double holds the number exactly: RFC 8785 writes all numbers as doubles.
const fn is_exact(whole: i64) -> bool {
    whole.unsigned_abs() < 1 << 53
}

/// Returns true where the names are in the order of RFC 8785 already, which is that of UTF-16; for ASCII that of the bytes.
fn are_in_order(map: &Map<String, Value>) -> bool {
    map.keys().all(|name| name.is_ascii()) && map.keys().is_sorted()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1_000..1_000_i64).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{0,6}|\\PC{0,4}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_directly_is_what_the_library_writes(value in any_json()) {
            prop_assert_eq!(canonical(&value), serde_json_canonicalizer::to_string(&value).unwrap());
        }
    }

    #[test]
    fn the_ends_of_what_is_written_directly_are_right() {
        for text in [
            "9007199254740991",
            "9007199254740992",
            "-9007199254740993",
            "1.0",
            "-0.0",
            "1e21",
            "\"\\u007f\\u2028\"",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(canonical(&value), serde_json_canonicalizer::to_string(&value).unwrap(), "{text}");
        }
    }
}
