//! Why a value was refused.

use std::{collections::HashSet, fmt, hash::Hash};

/// The rule that a value breaks, as an English clause that follows the field's name:
/// `must be at most 200 characters, is 250`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    /// A refusal for `rule`, which states the limit and the size given where there is one.
    pub fn new(rule: impl Into<String>) -> Self {
        Self(rule.into())
    }

    /// A refusal because `value` is none of `known`.
    pub fn unknown_word<'a>(value: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        Self(format!("must be one of {}, is {}", known.join(", "), quoted(value)))
    }

    /// A refusal of a list or set that holds `given` things where `most` are allowed.
    pub fn too_many(most: usize, things: &str, given: usize) -> Self {
        Self(format!("must be at most {most} {things}, is {given}"))
    }

    /// The same refusal, about the entry at `index` of a list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self(format!("entry {} {}", index + 1, self.0))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// How much of a refused value an error repeats, in characters.
const SHOWN: usize = 64;

/// A value given by a caller, made safe to repeat: quoted, escaped and cut.
pub fn quoted(value: &str) -> String {
    let shown: String = value.chars().take(SHOWN).collect();
    let more = if shown.len() < value.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}

/// Parses each entry of a list, naming the entry that is refused; duplicates collapse.
///
/// # Errors
/// The first entry's refusal.
pub fn parse_distinct<T, S: AsRef<str>>(
    raw: &[S],
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid>
where
    T: Clone + Eq + Hash,
{
    let mut seen = HashSet::with_capacity(raw.len());
    let mut parsed = Vec::with_capacity(raw.len());
    for (index, entry) in raw.iter().enumerate() {
        let value = parse(entry.as_ref()).map_err(|invalid| invalid.at(index))?;
        if seen.insert(value.clone()) {
            parsed.push(value);
        }
    }
    Ok(parsed)
}

/// The same for a list that holds at most `most` distinct entries.
///
/// # Errors
/// The first entry's refusal, or one for the list when it holds too many.
pub fn parse_list<T, S: AsRef<str>>(
    raw: &[S],
    most: usize,
    things: &str,
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid>
where
    T: Clone + Eq + Hash,
{
    let parsed = parse_distinct(raw, parse)?;
    if parsed.len() > most { Err(Invalid::too_many(most, things, parsed.len())) } else { Ok(parsed) }
}
