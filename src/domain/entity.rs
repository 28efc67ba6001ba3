//! The ledger objects that alerts are about.

use std::fmt;

use super::{Invalid, invalid::quoted};

/// The kind of a ledger object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityType {
    /// A balance: `bln_…` or `bal_…`.
    Balance,
    /// A transaction: `txn_…`.
    Transaction,
    /// An identity: `idt_…`.
    Identity,
}

impl EntityType {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Balance, Self::Transaction, Self::Identity];

    /// The kind's documented name, as JSON carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balance => "Balance",
            Self::Transaction => "Transaction",
            Self::Identity => "Identity",
        }
    }

    /// Reads a kind's name in any case.
    ///
    /// # Errors
    /// When it is none of the kinds; says which there are.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(raw));
        found.ok_or_else(|| Invalid::unknown_word(raw, Self::ALL.map(Self::as_str)))
    }

    /// The number that stores keep.
    pub const fn code(self) -> i16 {
        match self {
            Self::Balance => 1,
            Self::Transaction => 2,
            Self::Identity => 3,
        }
    }

    /// The kind that a stored number stands for.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The prefixes of entity ids and the kinds they stand for.
const PREFIXES: [(&str, EntityType); 4] = [
    ("bln_", EntityType::Balance),
    ("bal_", EntityType::Balance),
    ("txn_", EntityType::Transaction),
    ("idt_", EntityType::Identity),
];

/// A ledger object's id: `bln_`, `bal_`, `txn_` or `idt_` and 1 to 64 of `A-Z a-z 0-9 -`. Its case is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    id: String,
    kind: EntityType,
}

impl EntityId {
    /// The most characters that may follow the prefix.
    pub const MAX_REST: usize = 64;

    /// Reads an entity id.
    ///
    /// # Errors
    /// When the prefix is none of the known ones, or the rest is empty, too long or holds another character.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let known = PREFIXES.iter().find_map(|(prefix, kind)| Some((raw.strip_prefix(prefix)?, *kind)));
        let (rest, kind) = known.ok_or_else(|| {
            Invalid::new(format!("must begin with bln_, bal_, txn_ or idt_, is {}", quoted(raw)))
        })?;
        if rest.is_empty() {
            return Err(Invalid::new(format!("must have characters after the prefix, is {}", quoted(raw))));
        }
        if let Some(c) = rest.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Err(Invalid::new(format!("must hold only A-Z a-z 0-9 - after the prefix, has {c:?}")));
        }
        if rest.len() > Self::MAX_REST {
            return Err(Invalid::too_many(Self::MAX_REST, "characters after the prefix", rest.len()));
        }
        Ok(Self { id: raw.to_owned(), kind })
    }

    /// The written id.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// The kind of object.
    pub const fn kind(&self) -> EntityType {
        self.kind
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// The entities that an alert is about, a list for each kind, in the order given and without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AffectedEntities {
    /// Balances.
    pub balances: Vec<EntityId>,
    /// Transactions.
    pub transactions: Vec<EntityId>,
    /// Identities.
    pub identities: Vec<EntityId>,
}

impl AffectedEntities {
    /// The most entities that one alert may name.
    pub const MAX: usize = 100;

    /// Sorts entities of any kind into their lists; duplicates collapse.
    pub fn sort_in(entities: impl IntoIterator<Item = EntityId>) -> Self {
        let mut sorted = Self::default();
        for entity in entities {
            let list = sorted.list_mut(entity.kind());
            if !list.contains(&entity) {
                list.push(entity);
            }
        }
        sorted
    }

    /// Checks that the lists together hold 1 to [`Self::MAX`] entities.
    ///
    /// # Errors
    /// When they hold none or too many.
    pub fn check_size(&self) -> Result<(), Invalid> {
        match self.iter().count() {
            0 => Err(Invalid::new("must name at least one entity over the three affected lists")),
            size if size > Self::MAX => Err(Invalid::too_many(Self::MAX, "entities", size)),
            _ => Ok(()),
        }
    }

    /// Adds the entities of a repeat while there is room; tells how many found none.
    pub fn add(&mut self, others: &Self) -> usize {
        let mut left_out = 0;
        let mut size = self.iter().count();
        for entity in others.iter() {
            if self.iter().any(|own| own == entity) {
                continue;
            }
            if size < Self::MAX {
                self.list_mut(entity.kind()).push(entity.clone());
                size += 1;
            } else {
                left_out += 1;
            }
        }
        left_out
    }

    /// All entities, list after list.
    pub fn iter(&self) -> impl Iterator<Item = &EntityId> {
        self.balances.iter().chain(&self.transactions).chain(&self.identities)
    }

    /// The list for entities of `kind`.
    pub fn list_mut(&mut self, kind: EntityType) -> &mut Vec<EntityId> {
        match kind {
            EntityType::Balance => &mut self.balances,
            EntityType::Transaction => &mut self.transactions,
            EntityType::Identity => &mut self.identities,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entity_ids_round_trip(raw in "(bln|bal|txn|idt)_[A-Za-z0-9-]{1,64}") {
            let id = EntityId::parse(&raw).unwrap();
            prop_assert_eq!(id.as_str(), &raw);
            let expected = match &raw[..3] {
                "txn" => EntityType::Transaction,
                "idt" => EntityType::Identity,
                _ => EntityType::Balance,
            };
            prop_assert_eq!(id.kind(), expected);
        }

        #[test]
        fn anything_else_says_why(raw in "\\PC{0,20}|(bln|txn)_\\PC{0,80}") {
            if let Err(invalid) = EntityId::parse(&raw) {
                prop_assert!(invalid.to_string().starts_with("must "));
            } else {
                prop_assert!(raw.is_ascii() && (5..=68).contains(&raw.len()));
            }
        }
    }

    #[test]
    fn the_rule_broken_is_named() {
        let refused = |raw: &str| EntityId::parse(raw).unwrap_err().to_string();
        assert!(refused("acc_1").starts_with("must begin with bln_, bal_, txn_ or idt_"));
        assert!(refused("bln_").contains("after the prefix"));
        assert!(refused("bln_ä").contains("has 'ä'"));
        assert_eq!(
            refused(&format!("bln_{}", "x".repeat(65))),
            "must be at most 64 characters after the prefix, is 65"
        );
    }

    #[test]
    fn duplicates_collapse_and_kinds_are_sorted() {
        let ids = ["txn_1", "bln_1", "txn_1", "bal_1", "idt_1"];
        let sorted = AffectedEntities::sort_in(ids.map(|id| EntityId::parse(id).unwrap()));
        let all: Vec<_> = sorted.iter().map(EntityId::as_str).collect();
        assert_eq!(all, ["bln_1", "bal_1", "txn_1", "idt_1"]);
    }
}
