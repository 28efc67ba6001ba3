//! Statuses: their keys, classes and colours, and the built-in ones.

use std::fmt;

use super::{
    ChangeContext, EstimatedSize, Invalid, Name, OrganizationId, Timestamp, invalid::quoted,
    text::estimated_size,
};

/// The meaning of a status for queues and queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusClass {
    /// Nobody has looked at it yet.
    Open,
    /// Somebody is working on it.
    InProgress,
    /// A decision was made.
    Closed,
}

impl StatusClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Open, Self::InProgress, Self::Closed];

    /// The word that JSON carries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Closed => "closed",
        }
    }

    /// Reads a class's word in any case.
    ///
    /// # Errors
    /// When it is none of the classes; says which there are.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|class| class.as_str().eq_ignore_ascii_case(raw));
        found.ok_or_else(|| Invalid::unknown_word(raw, Self::ALL.map(Self::as_str)))
    }

    /// The number that stores keep.
    pub const fn code(self) -> i16 {
        match self {
            Self::Open => 1,
            Self::InProgress => 2,
            Self::Closed => 3,
        }
    }

    /// The class that a stored number stands for.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

/// The maker of a status: redflag or the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusOrigin {
    /// Every organization has it; it can't be changed or deleted.
    Builtin,
    /// The organization added it.
    Custom,
}

/// The key by which alerts refer to a status: 1 to 64 of `A-Z 0-9 _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusKey(String);

impl StatusKey {
    /// The most characters a key may have.
    pub const MAX: usize = 64;
    /// The default first status of an alert.
    pub const FLAGGED: &'static str = "FLAGGED";

    /// Reads a key in any case; it is kept in upper case.
    ///
    /// # Errors
    /// When it is empty, too long or holds another character.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        if raw.is_empty() {
            return Err(Invalid::new("must not be empty"));
        }
        if let Some(c) = raw.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            return Err(Invalid::new(format!("must hold only A-Z 0-9 _, has {c:?}")));
        }
        if raw.len() > Self::MAX {
            return Err(Invalid::too_many(Self::MAX, "characters", raw.len()));
        }
        Ok(Self(raw.to_ascii_uppercase()))
    }

    /// Derives a key from a status's name: upper case, every run of other characters one `_`, none at the ends.
    ///
    /// # Errors
    /// When the name leaves nothing.
    pub fn derive(name: &Name) -> Result<Self, Invalid> {
        let words = name.as_str().split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let key = words.collect::<Vec<_>>().join("_");
        Self::parse(&key).map_err(|_| {
            Invalid::new(format!(
                "must hold a letter or digit of A-Z 0-9 to derive a key from, is {}",
                quoted(name.as_str())
            ))
        })
    }

    /// The key that a new alert starts with.
    pub fn flagged() -> Self {
        Self(Self::FLAGGED.to_owned())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of the status.
    pub fn origin(&self) -> StatusOrigin {
        self.builtin_class().map_or(StatusOrigin::Custom, |_| StatusOrigin::Builtin)
    }

    /// The class of the status, if it is one that every organization has.
    pub fn builtin_class(&self) -> Option<StatusClass> {
        BUILTIN.iter().find(|(key, ..)| *key == self.0).map(|(.., class)| *class)
    }
}

impl fmt::Display for StatusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The statuses that every organization has: key, name, colour, class.
const BUILTIN: [(&str, &str, &str, StatusClass); 3] = [
    (StatusKey::FLAGGED, "Flagged", "#EF4444", StatusClass::Open),
    ("INVESTIGATING", "Investigating", "#F59E0B", StatusClass::InProgress),
    ("RESOLVED", "Resolved", "#10B981", StatusClass::Closed),
];

/// One of the documented colours, `#` and six upper-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour(&'static str);

impl Colour {
    /// Exactly the colours that the documentation allows, in its order.
    pub const ALLOWED: [&'static str; 15] = [
        "#3B82F6", "#10B981", "#F59E0B", "#EF4444", "#8B5CF6", "#EC4899", "#06B6D4", "#84CC16", "#F97316",
        "#6366F1", "#14B8A6", "#A855F7", "#E11D48", "#64748B", "#0EA5E9",
    ];

    /// Reads a colour in any case.
    ///
    /// # Errors
    /// When it is none of the allowed ones; says which they are.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let found = Self::ALLOWED.into_iter().find(|colour| colour.eq_ignore_ascii_case(raw));
        found.map(Self).ok_or_else(|| Invalid::unknown_word(raw, Self::ALLOWED))
    }

    /// The colour as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A status of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertStatus {
    /// The organization that it belongs to.
    pub organization_id: OrganizationId,
    /// The key that alerts refer to; unique in the organization.
    pub key: StatusKey,
    /// The name that people read.
    pub name: Name,
    /// How it is shown.
    pub colour: Colour,
    /// The class; fixed after creation.
    pub class: StatusClass,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name or colour last changed.
    pub updated_at: Timestamp,
}

impl AlertStatus {
    /// The statuses that an organization made at `at` starts with.
    pub fn builtin(organization_id: OrganizationId, at: Timestamp) -> Vec<Self> {
        BUILTIN
            .into_iter()
            .map(|(key, name, colour, class)| Self {
                organization_id,
                key: StatusKey(key.to_owned()),
                name: Name::literal(name),
                colour: Colour(colour),
                class,
                created_at: at,
                updated_at: at,
            })
            .collect()
    }

    /// The status with `patch` applied; equal to `self` when that changes nothing.
    #[must_use]
    pub fn patched(&self, patch: &StatusPatch, at: Timestamp) -> Self {
        let mut patched = self.clone();
        patched.name = patch.name.clone().unwrap_or(patched.name);
        patched.colour = patch.colour.unwrap_or(patched.colour);
        if patched != *self {
            patched.updated_at = at.max(self.updated_at);
        }
        patched
    }
}

/// A status to be made.
#[derive(Debug, Clone)]
pub struct NewStatus {
    /// The key that alerts will refer to.
    pub key: StatusKey,
    /// The name that people read.
    pub name: Name,
    /// How it is shown.
    pub colour: Colour,
    /// The class.
    pub class: StatusClass,
}

impl NewStatus {
    /// The status as it stands once made.
    pub fn into_status(self, organization_id: OrganizationId, change: &ChangeContext) -> AlertStatus {
        AlertStatus {
            organization_id,
            key: self.key,
            name: self.name,
            colour: self.colour,
            class: self.class,
            created_at: change.at,
            updated_at: change.at,
        }
    }
}

/// Changes of a status; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct StatusPatch {
    /// A new name.
    pub name: Option<Name>,
    /// A new colour.
    pub colour: Option<Colour>,
}

impl EstimatedSize for AlertStatus {
    fn estimated_size(&self) -> usize {
        [self.key.as_str(), self.name.as_str(), self.colour.as_str()].map(estimated_size).iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_round_trip_in_upper_case(raw in "[A-Za-z0-9_]{1,64}") {
            let key = StatusKey::parse(&raw).unwrap();
            prop_assert_eq!(key.as_str(), raw.to_ascii_uppercase());
            prop_assert_eq!(&StatusKey::parse(key.as_str()).unwrap(), &key);
        }

        #[test]
        fn other_keys_say_why(raw in "\\PC{0,80}") {
            if let Err(invalid) = StatusKey::parse(&raw) {
                prop_assert!(invalid.to_string().starts_with("must "));
            }
        }

        #[test]
        fn derived_keys_are_valid_and_trimmed(raw in "\\PC{1,64}") {
            let name = Name::parse(&raw).unwrap();
            match StatusKey::derive(&name) {
                Ok(key) => {
                    prop_assert_eq!(&StatusKey::parse(key.as_str()).unwrap(), &key);
                    prop_assert!(!key.as_str().starts_with('_') && !key.as_str().ends_with('_'));
                    prop_assert!(!key.as_str().contains("__"));
                }
                Err(_) => prop_assert!(!raw.chars().any(|c| c.is_ascii_alphanumeric())),
            }
        }
    }

    #[test]
    fn the_documented_name_derives_the_documented_key() {
        let derived = |name: &str| StatusKey::derive(&Name::parse(name).unwrap()).unwrap();
        assert_eq!(derived("Pending Review").as_str(), "PENDING_REVIEW");
        assert_eq!(derived("  (2nd) look! ").as_str(), "2ND_LOOK");
    }

    #[test]
    fn colours_are_read_in_any_case() {
        assert_eq!(Colour::parse("#3b82f6").unwrap().as_str(), "#3B82F6");
        assert!(Colour::parse("#000000").unwrap_err().to_string().contains("#0EA5E9, is \"#000000\""));
    }
}
