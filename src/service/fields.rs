//! Collects what is wrong with the fields of one call, so that every offending field is listed.

use crate::{
    domain::{
        EntityId, Invalid, Person,
        alert::MAX_ESCALATED_TO,
        invalid::{parse_distinct, parse_list},
        text::parse_line,
    },
    error::{Error, Reason, Violation},
};

/// The fields read so far, and the rules that some of them break.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
    others_than_entity_ids: bool,
}

impl Fields {
    /// Starts with what a face refused already, which is never only an entity id.
    pub fn refused(violations: Vec<Violation>) -> Self {
        Self { others_than_entity_ids: !violations.is_empty(), violations }
    }

    /// Takes what came of reading `field`; a refusal is noted and answers `None`.
    pub fn read<T>(&mut self, field: &str, result: Result<T, Invalid>) -> Option<T> {
        self.others_than_entity_ids |= result.is_err();
        self.note(field, result)
    }

    /// Takes what came of reading entity ids, whose refusal has a reason of its own.
    pub fn read_entity<T>(&mut self, field: &str, result: Result<T, Invalid>) -> Option<T> {
        self.note(field, result)
    }

    /// Reads a list of at most `most` entity ids; duplicates collapse.
    pub fn read_entities(&mut self, field: &str, raw: &[String], most: usize) -> Option<Vec<EntityId>> {
        let entities = self.read_entity(field, parse_distinct(raw, EntityId::parse))?;
        if entities.len() > most {
            return self.read(field, Err(Invalid::too_many(most, "entities", entities.len())));
        }
        Some(entities)
    }

    /// Reads the people that an alert is escalated to; duplicates collapse.
    pub fn read_people(&mut self, field: &str, raw: &[String]) -> Option<Vec<Person>> {
        let people = parse_list(raw, MAX_ESCALATED_TO, "people", |raw| parse_line(raw, Person::parse));
        self.read(field, people)
    }

    /// The error that lists all fields at fault; call it when one was refused.
    pub fn into_error(self) -> Error {
        let reason =
            if self.others_than_entity_ids { Reason::ValidationError } else { Reason::InvalidEntityId };
        Error::violations(reason, self.violations)
    }

    /// Passes when no field was refused.
    ///
    /// # Errors
    /// The error that lists all fields at fault: [`Reason::InvalidEntityId`] when only entity ids are, else
    /// [`Reason::ValidationError`].
    pub fn finish(self) -> Result<(), Error> {
        if self.violations.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    fn note<T>(&mut self, field: &str, result: Result<T, Invalid>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(rule) => {
                self.violations.push(Violation { field: field.to_owned(), rule });
                None
            }
        }
    }
}
