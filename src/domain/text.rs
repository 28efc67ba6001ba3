//! Text that people write: Unicode, counted in characters, free of control characters that stores can't keep.

use std::fmt;

use super::Invalid;

/// Text of `MIN` to `MAX` characters (Unicode scalar values).
///
/// CR LF becomes LF. Line feed and tab are the only control characters (C0, DEL, C1) allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// An alert's title.
pub type Title = Text<0, 200>;
/// An alert's description.
pub type Description = Text<1, 10_000>;
/// The assignee of an alert; empty means nobody.
pub type Assignee = Text<0, 200>;
/// Somebody: whom an alert is escalated to, who owns a key, on whose behalf a call is made.
pub type Person = Text<1, 200>;
/// The name of a status, a key or an organization.
pub type Name = Text<1, 64>;

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Reads text as a caller sent it.
    ///
    /// # Errors
    /// When it is too short, too long, or holds a control character that is not allowed.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = if raw.contains('\r') { raw.replace("\r\n", "\n") } else { raw.to_owned() };
        refuse_controls(&text)?;
        let length = text.chars().count();
        if length < MIN {
            return Err(Invalid::new("must not be empty"));
        }
        if length > MAX {
            return Err(Invalid::too_many(MAX, "characters", length));
        }
        Ok(Self(text))
    }

    /// A word of our own, which keeps the rules.
    pub(crate) fn literal(word: &'static str) -> Self {
        debug_assert!(Self::parse(word).is_ok(), "{word:?} breaks a rule");
        Self(word.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the text away.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> Default for Text<0, MAX> {
    /// No text.
    fn default() -> Self {
        Self(String::new())
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Text<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Person> for Assignee {
    fn from(person: Person) -> Self {
        Self(person.0)
    }
}

/// Refuses control characters other than line feed and tab.
///
/// # Errors
/// Names the character and where it stands.
pub fn refuse_controls(text: &str) -> Result<(), Invalid> {
    let forbidden = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.chars().enumerate().find(|(_, c)| forbidden(c)) {
        None => Ok(()),
        Some((index, c)) => Err(Invalid::new(format!(
            "must not hold control characters other than line feed and tab, has U+{:04X} as character {}",
            u32::from(c),
            index + 1
        ))),
    }
}

/// Reads a line that a caller gives with `parse`, but first refuses what makes it look like another: characters that turn
/// text around, or show nothing. Joiners and tags stay, since some scripts and emoji need them.
///
/// Not a rule of [`Text`]: stored rows may hold such characters, and stay readable.
///
/// # Errors
/// Names the character and where it stands; or what `parse` refuses.
pub fn parse_line<T>(raw: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<T, Invalid> {
    match raw.chars().enumerate().find(|(_, c)| is_deceptive(*c)) {
        None => parse(raw),
        Some((index, c)) => Err(Invalid::new(format!(
            "must not hold invisible characters or ones that turn text around, has U+{:04X} as character {}",
            u32::from(c),
            index + 1
        ))),
    }
}

const fn is_deceptive(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || matches!(c, '\u{ad}' | '\u{200b}' | '\u{feff}')
}

/// Returns true for a character that controls a terminal or turns the direction of other text around.
pub fn is_steering(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control()
}

/// How many bytes a text takes in an answer: JSON escapes quotes, backslashes, line feeds and tabs with one byte more.
pub fn estimated_size(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\t')).count()
}

/// The written forms of a list's entries.
pub fn words<T: fmt::Display>(entries: &[T]) -> Vec<String> {
    entries.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn accepted_text_round_trips(raw in "\\PC{0,200}") {
            let title = Title::parse(&raw).unwrap();
            prop_assert_eq!(title.as_str(), &raw);
            prop_assert_eq!(&Title::parse(title.as_str()).unwrap(), &title);
        }

        #[test]
        fn any_input_is_stored_clean_or_refused_with_a_rule(raw in any::<String>()) {
            match Title::parse(&raw) {
                Ok(title) => {
                    prop_assert!(title.as_str().chars().count() <= 200);
                    prop_assert!(title.as_str().chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
                }
                Err(invalid) => prop_assert!(invalid.to_string().starts_with("must ")),
            }
        }

        #[test]
        fn control_characters_are_named(before in "[a-z]{0,5}", c in prop::char::ranges(
            vec!['\0'..='\x08', '\x0b'..='\x1f', '\x7f'..='\u{9f}'].into()
        )) {
            let refused = Title::parse(&format!("{before}{c}x")).unwrap_err().to_string();
            prop_assert!(refused.contains(&format!("U+{:04X}", u32::from(c))), "{}", refused);
        }
    }

    #[test]
    fn limits_count_characters_and_say_both_sizes() {
        assert!(Title::parse(&"ß".repeat(200)).is_ok());
        let refused = Title::parse(&"ß".repeat(201)).unwrap_err();
        assert_eq!(refused.to_string(), "must be at most 200 characters, is 201");
        assert_eq!(Description::parse("").unwrap_err().to_string(), "must not be empty");
    }

    #[test]
    fn a_line_can_not_look_like_another() {
        for c in "\u{ad}\u{200b}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}".chars() {
            let refused = parse_line(&format!("ß{c}a"), Title::parse).unwrap_err().to_string();
            assert!(refused.ends_with(&format!("has U+{:04X} as character 2", u32::from(c))), "{refused}");
            assert!(Title::parse(&format!("ß{c}a")).is_ok(), "a stored one stays readable");
        }
        assert!(parse_line("👩\u{200d}🔬 می\u{200c}خواهم", Title::parse).is_ok());
    }

    #[test]
    fn weights_are_those_of_json() {
        let text = "a\t\"b\"\\\nß😀";
        assert_eq!(estimated_size(text) + 2, serde_json::Value::from(text).to_string().len());
    }

    #[test]
    fn line_ends_become_line_feeds() {
        assert_eq!(Title::parse("a\r\nb").unwrap().as_str(), "a\nb");
        assert!(Title::parse("a\rb").is_err());
    }
}
