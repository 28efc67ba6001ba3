//! Metadata that a caller keeps with an alert: a JSON object with limits, in one canonical form for both faces and stores.

use serde_json::{Map, Number, Value};

use super::{Invalid, invalid::quoted, text};

/// A JSON object of at most 16 KiB, 16 levels deep.
///
/// Numbers are IEEE 754 doubles, as in `google.protobuf.Struct`; whole numbers lie within ±(2^53 − 1), the range that
/// I-JSON (RFC 7493 §2.2) calls interoperable, so that nothing is rounded in silence. Strings follow the rules of text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// The most bytes the object may have as compact JSON.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The most levels the object may have, itself being the first.
    pub const MAX_DEPTH: usize = 16;

    /// Reads an object.
    ///
    /// # Errors
    /// When it is too large or too deep, or holds a number or a string that can't be kept exactly.
    pub fn parse(raw: Map<String, Value>) -> Result<Self, Invalid> {
        let canonical = object(raw, 1)?;
        let size = serialized_size(&canonical);
        if size > Self::MAX_BYTES {
            return Err(Invalid::too_many(Self::MAX_BYTES, "bytes as JSON", size));
        }
        Ok(Self(canonical))
    }

    /// The object.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// About how many bytes the object takes in an answer, rather too many than too few.
    pub fn estimated_size(&self) -> usize {
        self.0.iter().map(|(key, value)| text::estimated_size(key) + estimated_size(value)).sum()
    }

    /// The object as a JSON value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// The size of a value in a Struct, with the messages around it and its key.
pub fn estimated_size(value: &Value) -> usize {
    const WRAPPING: usize = 16;
    let held = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text::estimated_size(text),
        Value::Array(values) => values.iter().map(estimated_size).sum(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| text::estimated_size(key) + estimated_size(value)).sum()
        }
    };
    WRAPPING + held
}

fn serialized_size(map: &Map<String, Value>) -> usize {
    Value::Object(map.clone()).to_string().len()
}

fn canonical(value: Value, depth: usize) -> Result<Value, Invalid> {
    match value {
        Value::Null | Value::Bool(_) => Ok(value),
        Value::Number(number) => Ok(Value::Number(exact(&number)?)),
        Value::String(string) => Ok(Value::String(clean(&string)?)),
        Value::Array(values) => {
            check_depth(depth)?;
            values
                .into_iter()
                .map(|value| canonical(value, depth + 1))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        Value::Object(map) => Ok(Value::Object(object(map, depth)?)),
    }
}

fn object(map: Map<String, Value>, depth: usize) -> Result<Map<String, Value>, Invalid> {
    check_depth(depth)?;
    map.into_iter()
        .map(|(key, value)| {
            refuse_any_control(&key)?;
            Ok((key, canonical(value, depth + 1)?))
        })
        .collect()
}

fn check_depth(depth: usize) -> Result<(), Invalid> {
    if depth > Metadata::MAX_DEPTH {
        return Err(Invalid::new(format!("must be at most {} levels deep, is deeper", Metadata::MAX_DEPTH)));
    }
    Ok(())
}

fn clean(string: &str) -> Result<String, Invalid> {
    let string = string.replace("\r\n", "\n");
    text::refuse_controls(&string)?;
    Ok(string)
}

fn refuse_any_control(key: &str) -> Result<(), Invalid> {
    if key.chars().any(char::is_control) {
        return Err(Invalid::new(format!(
            "must not hold control characters in its keys, has {}",
            quoted(key)
        )));
    }
    Ok(())
}

/// The largest whole number that a double and all its neighbours keep exactly: 2^53 − 1.
const MAX_EXACT: i64 = (1 << 53) - 1;

/// The number in its one form: whole ones without a fraction, zero without a sign.
fn exact(number: &Number) -> Result<Number, Invalid> {
    let refused = || {
        Invalid::new(format!(
            "must hold only whole numbers within ±(2^53 − 1), has {}: send it as a string",
            quoted(&number.to_string())
        ))
    };
    if let Some(whole) = number.as_i64() {
        return if whole.unsigned_abs() <= MAX_EXACT.unsigned_abs() {
            Ok(number.clone())
        } else {
            Err(refused())
        };
    }
    let double = number.as_f64().filter(|_| !number.is_u64()).ok_or_else(refused)?;
    if double.fract() != 0.0 {
        return Ok(number.clone());
    }
    whole_number(double).map(Number::from).ok_or_else(refused)
}

/// The integer that a double without a fraction stands for, when it is small enough to be exact.
pub fn whole_number(double: f64) -> Option<i64> {
    // Prints without exponent or fraction, so that no lossy cast is needed; at most 2^53 − 1 either way.
    format!("{double:.0}").parse().ok().filter(|whole: &i64| whole.unsigned_abs() <= MAX_EXACT.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Metadata, Invalid> {
        let Value::Object(map) = value else { panic!("not an object") };
        Metadata::parse(map)
    }

    proptest! {
        #[test]
        fn accepted_metadata_is_canonical_and_survives_text(key in "\\PC{0,9}", double in any::<f64>(), text in "\\PC{0,9}") {
            prop_assume!(double.is_finite());
            let Ok(metadata) = parse(json!({ key: [double, text, null, true] })) else { return Ok(()) };
            let again: Value = serde_json::from_str(&metadata.to_value().to_string()).unwrap();
            prop_assert_eq!(parse(again).unwrap(), metadata);
        }
    }

    #[test]
    fn whole_numbers_have_one_form() {
        let parsed = parse(json!({ "a": 5.0, "b": -0.0, "c": 9_007_199_254_740_991_i64, "d": 0.5 })).unwrap();
        assert_eq!(parsed.to_value().to_string(), r#"{"a":5,"b":0,"c":9007199254740991,"d":0.5}"#);
    }

    #[test]
    fn what_would_be_rounded_is_refused() {
        for number in [json!(9_007_199_254_740_992_i64), json!(u64::MAX), json!(1e300), json!(i64::MIN)] {
            let refused = parse(json!({ "n": number })).unwrap_err().to_string();
            assert!(refused.contains("send it as a string"), "{refused}");
        }
    }

    #[test]
    fn limits_say_both_sizes() {
        let refused = parse(json!({ "a": "x".repeat(16_384) })).unwrap_err().to_string();
        assert_eq!(refused, "must be at most 16384 bytes as JSON, is 16392");
        assert!(parse(json!({ "a": "x".repeat(16_376) })).is_ok());
        let nested = |levels| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert!(parse(nested(16)).is_ok());
        assert!(parse(nested(17)).unwrap_err().to_string().contains("at most 16 levels"));
    }

    #[test]
    fn nul_is_refused_wherever_it_stands() {
        assert!(parse(json!({ "a\0": 1 })).is_err());
        assert!(parse(json!({ "a": ["\0"] })).is_err());
    }
}
