//! Secrets of API keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{
    domain::{Invalid, KeyDigest},
    error::Error,
};

/// A key's secret: what a caller presents. Never printed by accident.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The prefix of a generated secret.
    const PREFIX: &'static str = "rf_";
    /// The fewest characters a secret may have.
    pub const MIN: usize = 32;
    /// The most characters a secret may have.
    pub const MAX: usize = 200;
    /// How many characters are kept in clear to recognise a key by.
    const SHOWN: usize = 8;

    /// A new secret: 256 bits from the operating system.
    ///
    /// # Errors
    /// When the operating system has no random bits to give.
    pub fn generate() -> Result<Self, Error> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits).map_err(Error::internal)?;
        Ok(Self(format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(bits)).into()))
    }

    /// Reads a secret: [`Self::MIN`] to [`Self::MAX`] visible ASCII characters.
    ///
    /// # Errors
    /// When it is too short, too long or holds another character; never repeats the secret.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        if !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::new("must hold only visible ASCII characters"));
        }
        if !(Self::MIN..=Self::MAX).contains(&raw.len()) {
            let rule = format!("must be {} to {} characters, is {}", Self::MIN, Self::MAX, raw.len());
            return Err(Invalid::new(rule));
        }
        Ok(Self(raw.into()))
    }

    /// The digest that the store keeps and looks keys up by.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.0.expose_secret()).into())
    }

    /// The first characters, to recognise the key by.
    pub fn prefix(&self) -> String {
        self.0.expose_secret().chars().take(Self::SHOWN).collect()
    }

    /// The secret itself, to be shown once.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn secrets_are_visible_ascii_of_a_bounded_length(raw in "[!-~]{32,200}") {
            let secret = Secret::parse(&raw).unwrap();
            prop_assert_eq!(secret.reveal(), raw);
        }

        #[test]
        fn refusals_never_repeat_the_secret(raw in "[!-~]{12,31}") {
            let refused = Secret::parse(&raw).unwrap_err().to_string();
            prop_assert!(refused.contains("must be 32 to 200 characters") && !refused.contains(&raw));
        }
    }

    #[test]
    fn generated_secrets_differ_and_are_not_printed() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(one.reveal().starts_with("rf_") && one.reveal().len() == 46);
        assert_ne!(one.reveal(), two.reveal());
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
