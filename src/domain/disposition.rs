//! The decision that an alert was taken to.

use super::{Invalid, Text};

/// Why a disposition was chosen; empty when nothing was said.
pub type DispositionReason = Text<0, 10_000>;

/// The outcome of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Disposition {
    /// None was decided.
    #[default]
    Unspecified,
    /// It did happen, and was wrong.
    TruePositive,
    /// It did not happen.
    FalsePositive,
    /// It did happen, and was right.
    Benign,
    /// Another alert is about the same.
    Duplicate,
    /// Nobody can tell.
    Inconclusive,
}

impl Disposition {
    /// The dispositions that can be given.
    pub const GIVEN: [Self; 5] =
        [Self::TruePositive, Self::FalsePositive, Self::Benign, Self::Duplicate, Self::Inconclusive];

    /// The word that JSON carries; `None` while unspecified.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Unspecified => None,
            Self::TruePositive => Some("TRUE_POSITIVE"),
            Self::FalsePositive => Some("FALSE_POSITIVE"),
            Self::Benign => Some("BENIGN"),
            Self::Duplicate => Some("DUPLICATE"),
            Self::Inconclusive => Some("INCONCLUSIVE"),
        }
    }

    /// Reads a disposition's word in any case.
    ///
    /// # Errors
    /// When it is none of the words; says which there are.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let is = |d: &Self| d.word().is_some_and(|word| word.eq_ignore_ascii_case(raw));
        Self::GIVEN
            .into_iter()
            .find(is)
            .ok_or_else(|| Invalid::unknown_word(raw, Self::GIVEN.into_iter().filter_map(Self::word)))
    }

    /// The number that stores keep.
    pub const fn code(self) -> i16 {
        match self {
            Self::Unspecified => 0,
            Self::TruePositive => 1,
            Self::FalsePositive => 2,
            Self::Benign => 3,
            Self::Duplicate => 4,
            Self::Inconclusive => 5,
        }
    }

    /// The disposition that a stored number stands for.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Unspecified].into_iter().chain(Self::GIVEN).find(|disposition| disposition.code() == code)
    }
}
