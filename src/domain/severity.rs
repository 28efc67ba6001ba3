//! How bad an alert is.

use super::Invalid;

/// How bad an alert is, as its caller judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Severity {
    /// None was given.
    #[default]
    Unspecified,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// The severities that can be given, mildest first.
    pub const GIVEN: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word that JSON carries; `None` while unspecified.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Unspecified => None,
            Self::Low => Some("low"),
            Self::Medium => Some("medium"),
            Self::High => Some("high"),
            Self::Critical => Some("critical"),
        }
    }

    /// Reads a severity's word in any case.
    ///
    /// # Errors
    /// When it is none of the words; says which there are.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let is = |s: &Self| s.word().is_some_and(|word| word.eq_ignore_ascii_case(raw));
        Self::GIVEN
            .into_iter()
            .find(is)
            .ok_or_else(|| Invalid::unknown_word(raw, Self::GIVEN.into_iter().filter_map(Self::word)))
    }

    /// The number that stores keep.
    pub const fn code(self) -> i16 {
        match self {
            Self::Unspecified => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Critical => 4,
        }
    }

    /// The severity that a stored number stands for.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Unspecified].into_iter().chain(Self::GIVEN).find(|severity| severity.code() == code)
    }
}
