//! The author of a change.

use serde_json::{Value, json};

use super::{EstimatedSize, Invalid, KeyId, Name, Person, SourceId, Text, text::estimated_size};

/// The issuer of an identity, or its subject: what an identity provider says to the letter.
pub type IdentityText = Text<1, 255>;

/// The author of a change. The JSON of a key has no `kind`, as it had before there were other authors; the others have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An API key, and the person it acts for when the caller names one.
    Key {
        /// The key that was used.
        id: KeyId,
        /// The name of the key at the time.
        name: Name,
        /// On whose behalf, as the caller claims in `x-redflag-actor`.
        on_behalf_of: Option<Person>,
    },
    /// A person whom an identity provider vouches for.
    Person {
        /// The identity provider.
        issuer: IdentityText,
        /// The person, as the provider identifies them for ever.
        subject: IdentityText,
        /// The person's name at the time.
        name: Person,
    },
    /// A source of signals.
    Source {
        /// The source.
        id: SourceId,
        /// The name of the source at the time.
        name: Name,
    },
    /// redflag itself.
    System {
        /// The part of it, such as `retention`.
        name: Name,
    },
}

/// The kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// [`Actor::Key`].
    Key,
    /// [`Actor::Person`].
    Person,
    /// [`Actor::Source`].
    Source,
    /// [`Actor::System`].
    System,
}

impl ActorKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Key, Self::Person, Self::Source, Self::System];

    /// The stored code.
    pub const fn code(self) -> i16 {
        match self {
            Self::Key => 1,
            Self::Person => 2,
            Self::Source => 3,
            Self::System => 4,
        }
    }

    /// The kind of a stored code.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl Actor {
    /// The author of the first events of alerts that are older than histories are. It is written as a key, the only kind of
    /// author that there was when the first of these events were hashed.
    pub fn migration() -> Self {
        Self::Key { id: KeyId::NOBODY, name: Name::literal("migration"), on_behalf_of: None }
    }

    /// Returns true for [`Self::migration`].
    pub fn is_migration(&self) -> bool {
        matches!(self, Self::Key { id, .. } if *id == KeyId::NOBODY)
    }

    /// The kind.
    pub const fn kind(&self) -> ActorKind {
        match self {
            Self::Key { .. } => ActorKind::Key,
            Self::Person { .. } => ActorKind::Person,
            Self::Source { .. } => ActorKind::Source,
            Self::System { .. } => ActorKind::System,
        }
    }

    /// The actor as JSON carries it, which is also what the hash of an event covers.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Key { id, name, on_behalf_of } => json!({
                "key_id": id.to_string(),
                "key_name": name.as_str(),
                "on_behalf_of": on_behalf_of.as_ref().map(Person::as_str),
            }),
            Self::Person { issuer, subject, name } => json!({
                "kind": "person",
                "issuer": issuer.as_str(),
                "subject": subject.as_str(),
                "name": name.as_str(),
            }),
            Self::Source { id, name } => {
                json!({ "kind": "source", "source_id": id.to_string(), "name": name.as_str() })
            }
            Self::System { name } => json!({ "kind": "system", "name": name.as_str() }),
        }
    }

    /// Reads the actor as [`Self::to_json`] writes it.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(json: &Value) -> Result<Self, Invalid> {
        let text = |name: &str| json[name].as_str().ok_or_else(|| Invalid::new(format!("lacks {name}")));
        Ok(match json["kind"].as_str() {
            None => Self::Key {
                id: KeyId::parse(text("key_id")?)?,
                name: Name::parse(text("key_name")?)?,
                on_behalf_of: json["on_behalf_of"].as_str().map(Person::parse).transpose()?,
            },
            Some("person") => Self::Person {
                issuer: Text::parse(text("issuer")?)?,
                subject: Text::parse(text("subject")?)?,
                name: Person::parse(text("name")?)?,
            },
            Some("source") => {
                Self::Source { id: SourceId::parse(text("source_id")?)?, name: Name::parse(text("name")?)? }
            }
            Some("system") => Self::System { name: Name::parse(text("name")?)? },
            Some(_) => return Err(Invalid::new("is of no kind that this version knows")),
        })
    }
}

impl EstimatedSize for Actor {
    fn estimated_size(&self) -> usize {
        match self {
            Self::Key { name, on_behalf_of, .. } => {
                let person = on_behalf_of.as_ref().map_or(0, |person| estimated_size(person.as_str()));
                estimated_size(name.as_str()) + person
            }
            Self::Person { issuer, subject, name } => {
                [issuer.as_str(), subject.as_str(), name.as_str()].map(estimated_size).iter().sum()
            }
            Self::Source { name, .. } | Self::System { name } => estimated_size(name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::canonical::canonical;

    fn examples() -> [(Actor, &'static str); 5] {
        let uuid = Uuid::from_u128(0x019b_8a38_0fd1_7289_86d1_bc76_aa17_a510);
        let key = |on_behalf_of: Option<Person>| Actor::Key {
            id: KeyId::from_uuid(uuid),
            name: Name::literal("payments"),
            on_behalf_of,
        };
        [
            (
                key(None),
                r#"{"key_id":"key_019b8a38-0fd1-7289-86d1-bc76aa17a510","key_name":"payments","on_behalf_of":null}"#,
            ),
            (
                key(Some(Person::literal("ana"))),
                r#"{"key_id":"key_019b8a38-0fd1-7289-86d1-bc76aa17a510","key_name":"payments","on_behalf_of":"ana"}"#,
            ),
            (
                Actor::Person {
                    issuer: Text::parse("https://id.example.com").unwrap(),
                    subject: Text::parse("00u1").unwrap(),
                    name: Person::literal("Ana"),
                },
                r#"{"issuer":"https://id.example.com","kind":"person","name":"Ana","subject":"00u1"}"#,
            ),
            (
                Actor::Source { id: SourceId::from_uuid(uuid), name: Name::literal("ledger") },
                r#"{"kind":"source","name":"ledger","source_id":"src_019b8a38-0fd1-7289-86d1-bc76aa17a510"}"#,
            ),
            (Actor::System { name: Name::literal("retention") }, r#"{"kind":"system","name":"retention"}"#),
        ]
    }

    #[test]
    fn the_canonical_json_of_each_kind_never_changes() {
        for (actor, json) in examples() {
            assert_eq!(canonical(&actor.to_json()), json);
        }
    }

    #[test]
    fn actors_are_read_as_they_are_written() {
        for (actor, _) in examples() {
            assert_eq!(Actor::from_json(&actor.to_json()).unwrap(), actor);
            assert_eq!(ActorKind::from_code(actor.kind().code()), Some(actor.kind()));
        }
        assert!(Actor::from_json(&json!({ "kind": "moon", "name": "x" })).is_err());
        assert!(Actor::from_json(&json!({ "key_id": "key_1", "key_name": "x" })).is_err());
    }
}
