//! A strict parser of query strings: an unknown parameter is an error, so that a mistyped filter is never ignored.

use std::hash::Hash;

use chrono::DateTime;

use crate::{
    domain::{
        AlertFilter, Invalid, Timestamp, clock,
        invalid::{parse_list, quoted},
    },
    error::Violation,
    service::Parsed,
};

/// The most unknown parameters that an error names.
const MAX_UNKNOWN: usize = 10;

/// The decoded parameters of a query string, and their violations.
pub struct Parameters {
    given: Vec<(String, Parsed<String>)>,
    refused: Vec<Violation>,
}

impl Parameters {
    /// Decodes `query` (`application/x-www-form-urlencoded`), and refuses parameters outside `known`.
    pub fn parse(query: &str, known: &[&str]) -> Self {
        let (mut given, mut unknown) = (Vec::new(), Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_else(|_| name.to_owned());
            if known.contains(&name.as_str()) {
                given.push((name, decode(value)));
            } else if unknown.len() < MAX_UNKNOWN && !unknown.contains(&name) {
                unknown.push(name);
            }
        }
        let refused = unknown.iter().map(|name| unknown_parameter(name, known));
        Self { refused: refused.collect(), given }
    }

    /// Takes the values of a list, repeated or separated by commas; empty values are left out.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let mut list = Vec::new();
        for value in self.take(name) {
            match value {
                Ok(value) => list.extend(pieces(&value).map(str::to_owned)),
                Err(rule) => self.refuse(name, rule),
            }
        }
        list
    }

    /// Takes and parses the values of a list.
    pub fn parsed_list<T: Clone + Eq + Hash>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        parse_list(&self.list(name), AlertFilter::MAX_VALUES, "values", parse)
    }

    /// Takes a single text, which may be empty.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.single(name);
        value.unwrap_or_else(|rule| {
            self.refuse(name, rule);
            None
        })
    }

    /// Takes and parses a single value.
    pub fn value<T>(&mut self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Option<T>> {
        self.single(name)?.as_deref().map(parse).transpose()
    }

    /// Returns the violations found so far.
    pub fn into_refused(self) -> Vec<Violation> {
        self.refused
    }

    fn single(&mut self, name: &str) -> Parsed<Option<String>> {
        let mut values = self.take(name);
        if values.len() > 1 {
            let rule = format!("must be given once, is given {} times", values.len());
            return Err(Invalid::new(rule));
        }
        values.pop().transpose()
    }

    fn take(&mut self, name: &str) -> Vec<Parsed<String>> {
        let taken = self.given.extract_if(.., |(given, _)| given == name);
        taken.map(|(_, value)| value).collect()
    }

    fn refuse(&mut self, field: &str, rule: Invalid) {
        self.refused.push(Violation { field: field.to_owned(), rule });
    }
}

fn pieces(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').filter(|piece| !piece.is_empty())
}

fn unknown_parameter(name: &str, known: &[&str]) -> Violation {
    let rule = format!("is no parameter of this call; known ones are {}", known.join(", "));
    Violation { field: shown(name), rule: Invalid::new(rule) }
}

/// Shows a parameter's name; quotes and shortens one that is no plain word.
fn shown(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) { name.to_owned() } else { quoted(name) }
}

/// Decodes a name or a value in UTF-8: `+` is a space, `%` and two hexadecimal digits are a byte.
fn decode(raw: &str) -> Parsed<String> {
    let refused = || Invalid::new("must be percent-encoded UTF-8");
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| hexadecimal(digit?));
                match digits {
                    [Some(high), Some(low)] => high << 4 | low,
                    _ => return Err(refused()),
                }
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).map_err(|_| refused())
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Reads an instant (RFC 3339, any offset).
///
/// # Errors
/// When it is no RFC 3339 time.
pub fn time(raw: &str) -> Parsed<Timestamp> {
    // An unescaped `+` of an offset arrives as a space.
    let unescaped = || {
        let (instant, offset) = raw.rsplit_once(' ')?;
        DateTime::parse_from_rfc3339(&format!("{instant}+{offset}")).ok()
    };
    let parsed = DateTime::parse_from_rfc3339(raw).ok().or_else(unescaped).map(|at| at.to_utc());
    parsed.filter(clock::is_writable).ok_or_else(|| {
        Invalid::new(format!("must be an RFC 3339 time such as 2026-01-15T09:22:37Z, is {}", quoted(raw)))
    })
}

/// Reads a whole number. One beyond 64 bits becomes the nearest that fits, for a later check of limits.
///
/// # Errors
/// When it is no whole number.
pub fn whole_number(raw: &str) -> Parsed<i64> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Invalid::new(format!("must be a whole number, is {}", quoted(raw))));
    }
    let nearest = if raw.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(raw.parse().unwrap_or(nearest))
}

/// Reads `true` or `false` in any case.
///
/// # Errors
/// When it is neither.
pub fn truth(raw: &str) -> Parsed<bool> {
    match raw.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::unknown_word(raw, ["true", "false"])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Parameters {
        Parameters::parse(query, &["status", "order"])
    }

    #[test]
    fn lists_are_repeated_or_separated_by_commas() {
        let mut parameters = parse("status=a,b&status=&order=asc&status=%2Cc%2C,d");
        assert_eq!(parameters.list("status"), ["a", "b", "c", "d"]);
        assert_eq!(parameters.text("order").as_deref(), Some("asc"));
        assert_eq!(parameters.into_refused(), []);
    }

    #[test]
    fn what_is_wrong_is_listed() {
        let mut parameters = parse("stauts=a&order=1&order=2&status=%ff&status=%zz&a%00b=1");
        assert_eq!(parameters.list("status"), [""; 0]);
        assert_eq!(parameters.text("order"), None);
        let violations: Vec<_> =
            parameters.into_refused().into_iter().map(|v| format!("{} {}", v.field, v.rule)).collect();
        assert_eq!(
            violations,
            [
                "stauts is no parameter of this call; known ones are status, order",
                "\"a\\0b\" is no parameter of this call; known ones are status, order",
                "status must be percent-encoded UTF-8",
                "status must be percent-encoded UTF-8",
                "order must be given once, is given 2 times",
            ]
        );
    }

    #[test]
    fn an_empty_value_is_given_and_an_absent_one_is_not() {
        assert_eq!(parse("order=").text("order").as_deref(), Some(""));
        assert_eq!(parse("order").text("order").as_deref(), Some(""));
        assert_eq!(parse("&&status=a").text("order"), None);
    }

    #[test]
    fn times_are_read_with_any_offset() {
        let micros = |raw| time(raw).unwrap().timestamp_micros();
        let noon = micros("2026-01-15T12:00:00Z");
        assert_eq!(micros("2026-01-15T13:00:00+01:00"), noon);
        assert_eq!(micros("2026-01-15T13:00:00 01:00"), noon);
        assert_eq!(micros("2026-01-15 13:00:00 01:00"), noon);
        assert_eq!(micros("2026-01-15T12:00:00.0000019-00:00"), noon + 1);
        for raw in ["", "2026-01-15", "2026-01-15 01:00", "12", "2026-13-15T12:00:00Z"] {
            let refused = time(raw).unwrap_err().to_string();
            assert!(refused.starts_with("must be an RFC 3339 time"), "{refused}");
        }
    }

    #[test]
    fn whole_numbers_saturate() {
        assert_eq!(whole_number("50").unwrap(), 50);
        assert_eq!(whole_number("99999999999999999999").unwrap(), i64::MAX);
        assert_eq!(whole_number("-99999999999999999999").unwrap(), i64::MIN);
        for raw in ["", "-", "+1", " 1", "1.0", "1e3", "٣"] {
            assert!(whole_number(raw).is_err(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn encoded_text_decodes_to_itself(value in any::<String>()) {
            let encoded: Vec<_> = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded.concat()).unwrap(), value);
        }

        #[test]
        fn no_query_string_panics(query in "(status|order|%|&|=|\\PC){0,40}|\\PC*") {
            let mut parameters = parse(&query);
            parameters.list("status");
            let _ = parameters.value("order", time);
            prop_assert!(parameters.into_refused().len() <= query.len() + MAX_UNKNOWN);
        }

        #[test]
        fn no_value_panics(raw in any::<String>()) {
            let _ = (time(&raw), whole_number(&raw), truth(&raw));
        }
    }
}
