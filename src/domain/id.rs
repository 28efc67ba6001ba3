//! The prefixed ids that redflag gives out: `ano_`, `evt_`, `org_`, `key_` and `src_`, each with a UUID.

use std::fmt;

use uuid::Uuid;

use super::{Invalid, invalid::quoted};

/// Declares an id: a UUID that is written with a prefix.
macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of the written id.
            pub const PREFIX: &'static str = $prefix;

            /// The id that stands for `uuid`.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID behind the id.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Reads the written form; hexadecimal digits may be of either case.
            ///
            /// # Errors
            /// When it is not the prefix and a hyphenated UUID.
            pub fn parse(raw: &str) -> Result<Self, Invalid> {
                parse_uuid(Self::PREFIX, raw).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0.hyphenated())
            }
        }
    };
}

prefixed_id! {
    /// An alert's id. New ones hold a UUIDv7, so that ids sort by time.
    AnomalyId, "ano_"
}
prefixed_id! {
    /// An organization's id: the tenant that every row belongs to.
    OrganizationId, "org_"
}
prefixed_id! {
    /// The id of an event of the history. Holds a UUIDv7.
    EventId, "evt_"
}
prefixed_id! {
    /// An API key's id, which is no secret.
    KeyId, "key_"
}

prefixed_id! {
    /// The id of a source of signals.
    SourceId, "src_"
}

impl OrganizationId {
    /// Stands for what belongs to no organization.
    pub const NONE: Self = Self(Uuid::nil());
}

impl KeyId {
    /// Stands where no key did it: redflag itself began the history of an alert that is older.
    pub const NOBODY: Self = Self(Uuid::nil());
}

fn parse_uuid(prefix: &str, raw: &str) -> Result<Uuid, Invalid> {
    raw.strip_prefix(prefix)
        .filter(|rest| rest.len() == uuid::fmt::Hyphenated::LENGTH)
        .and_then(|rest| Uuid::try_parse(rest).ok())
        .ok_or_else(|| Invalid::new(format!("must be {prefix} and a UUID, is {}", quoted(raw))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_round_trip(bits in any::<u128>()) {
            let id = AnomalyId::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(AnomalyId::parse(&id.to_string()).unwrap(), id);
            let shouted = format!("ano_{}", id.to_string()[4..].to_uppercase());
            prop_assert_eq!(AnomalyId::parse(&shouted).unwrap(), id);
            prop_assert!(OrganizationId::parse(&id.to_string()).is_err());
        }

        #[test]
        fn anything_else_is_refused_with_the_rule(raw in any::<String>()) {
            prop_assume!(Uuid::try_parse(raw.trim_start_matches("ano_")).is_err());
            let refused = AnomalyId::parse(&raw).unwrap_err().to_string();
            prop_assert!(refused.starts_with("must be ano_ and a UUID"));
        }
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for raw in [
            "ano_8a380fd1028946d1bc76aa17a510a64e",
            "ano_{8a380fd1-0289-46d1-bc76-aa17a510a64e}",
            "8a380fd1-0289-46d1-bc76-aa17a510a64e",
            "ANO_8a380fd1-0289-46d1-bc76-aa17a510a64e",
        ] {
            assert!(AnomalyId::parse(raw).is_err(), "{raw}");
        }
    }
}
