//! The credentials of a call, as the headers of either face carry them.

use super::Secret;
use crate::{
    domain::{Invalid, Person, text::parse_line},
    error::{Error, Reason},
};

/// The credentials of a call, as either face received them.
#[derive(Debug, Default)]
pub struct Credentials<'a> {
    /// The `authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The `x-blnk-key` header, the ledger core's own.
    pub blnk_key: Option<&'a [u8]>,
    /// The `x-redflag-actor` header.
    pub actor: Option<&'a [u8]>,
    /// The id that traces the call.
    pub trace_id: &'a str,
    /// A header of these that was given more than once.
    pub repeated: Option<&'static str>,
}

impl Credentials<'_> {
    /// Reads the secret of the API key.
    ///
    /// # Errors
    /// [`Reason::ValidationError`] where a header was given twice; [`Reason::MissingApiKey`], [`Reason::InvalidApiKey`].
    pub fn secret(&self) -> Result<Secret, Error> {
        if let Some(header) = self.repeated {
            let rule = Invalid::new("must be given once");
            return Err(Error::violation(Reason::ValidationError, header, rule));
        }
        let missing = || {
            let message = "an API key is needed: send it as `Authorization: Bearer <key>`";
            Error::new(Reason::MissingApiKey, message)
        };
        let raw = match (self.authorization.map(bearer), self.blnk_key) {
            // Another scheme may be a proxy's, before which the key has its own header.
            (Some(Some(key)), _) | (_, Some(key)) => key,
            (Some(None), None) => {
                let message = "the `Authorization` header must read `Bearer <key>`";
                return Err(Error::new(Reason::InvalidApiKey, message));
            }
            (None, None) => return Err(missing()),
        };
        let raw = std::str::from_utf8(raw).map_err(|_| not_valid())?.trim();
        if raw.is_empty() {
            return Err(missing());
        }
        Secret::parse(raw).map_err(|_| not_valid())
    }

    /// Reads on whose behalf the call is made.
    ///
    /// # Errors
    /// [`Reason::ValidationError`].
    pub fn on_behalf_of(&self) -> Result<Option<Person>, Error> {
        let parse = |raw: &[u8]| match std::str::from_utf8(raw) {
            Ok(text) => parse_line(text, Person::parse),
            Err(_) => Err(Invalid::new("must be UTF-8")),
        };
        let refused = |rule| Error::violation(Reason::ValidationError, "x-redflag-actor", rule);
        self.actor.map(parse).transpose().map_err(refused)
    }
}

/// The error for a key that is not valid.
pub fn not_valid() -> Error {
    Error::new(Reason::InvalidApiKey, "the API key is not valid")
}

/// The credentials of a `Bearer` header; the scheme is read in any case (RFC 9110 §11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked("Bearer".len())?;
    let named = scheme.eq_ignore_ascii_case(b"Bearer") && rest.first().is_none_or(|&byte| byte == b' ');
    named.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(bearer(b"bearer abc"), Some(b" abc".as_slice()));
        assert_eq!(bearer(b"Bearerabc"), None);
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bear"), None);
    }
}
