//! The keys that heads are signed and verified with: Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)), in the
//! notations that OpenSSL writes.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use sha2::{Digest, Sha256};

use super::Invalid;

/// The bytes before the 32 bytes of a public key in its DER form ([RFC 8410](https://www.rfc-editor.org/rfc/rfc8410) §4).
const PUBLIC_DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The bytes before the 32 secret bytes of a private key in its DER form (PKCS#8 version 1, RFC 8410 §7).
const PRIVATE_DER: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The short name of a public key: the first 8 bytes of its SHA-256. It only says which key to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditKeyId(pub [u8; 8]);

impl fmt::Display for AuditKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPublicKey([u8; 32]);

impl AuditPublicKey {
    /// Reads a key in PEM, or as base64 of its DER form or of its 32 bytes alone.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let lines = raw.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let base64: String = lines.collect();
        let bytes = BASE64_STANDARD.decode(&base64).ok();
        let key = bytes.as_deref().map(|bytes| bytes.strip_prefix(&PUBLIC_DER).unwrap_or(bytes));
        let key = key.and_then(|key| <[u8; 32]>::try_from(key).ok());
        let rule = "must be an Ed25519 public key, in PEM or as one line of base64";
        key.map(Self).ok_or_else(|| Invalid::new(format!("{rule}, is {} bytes of something else", raw.len())))
    }

    /// Its short name.
    pub fn id(&self) -> AuditKeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&Sha256::digest(self.0)[..8]);
        AuditKeyId(id)
    }

    /// Returns true where the holder of the private key has signed the text.
    pub fn verifies(&self, text: &str, signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(text.as_bytes(), signature).is_ok()
    }
}

/// Base64 of the DER form, which is what stands between the lines of a PEM file.
impl fmt::Display for AuditPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode([&PUBLIC_DER[..], &self.0].concat()))
    }
}

/// A private key, which signs the heads that a store leaves.
pub struct HeadSigner {
    pair: Ed25519KeyPair,
    key: AuditPublicKey,
    id: AuditKeyId,
}

impl HeadSigner {
    /// Reads a private key in PEM (PKCS#8, as `openssl genpkey -algorithm ed25519` writes it).
    ///
    /// # Errors
    /// When it is none. Nothing of what was given is repeated.
    pub fn parse(pem: &[u8]) -> Result<Self, Invalid> {
        let rule = || Invalid::new("must be an Ed25519 private key in PEM (PKCS#8), without a passphrase");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| rule())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| rule())?;
        let key = <[u8; 32]>::try_from(pair.public_key().as_ref()).map(AuditPublicKey).map_err(|_| rule())?;
        Ok(Self { pair, id: key.id(), key })
    }

    /// The public key.
    pub const fn public_key(&self) -> AuditPublicKey {
        self.key
    }

    /// The name of the public key.
    pub const fn id(&self) -> AuditKeyId {
        self.id
    }

    /// Signs a text.
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        signature
    }
}

/// Tells which key it is, and nothing secret.
impl fmt::Debug for HeadSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadSigner({})", self.id)
    }
}

/// A private key of these secret bytes in PEM.
pub fn private_pem(secret: &[u8; 32]) -> String {
    let base64 = BASE64_STANDARD.encode([&PRIVATE_DER[..], secret].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ9NkYHyXzeYAisvc0chB0mNEy21B17tur8LiD9fvDOP\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA89f/h2bukR04ybRoCCqOqyAYv9GVW2VICFVKyapJJUo=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_read_as_openssl_writes_them() {
        let signer = HeadSigner::parse(PRIVATE.as_bytes()).unwrap();
        let key = AuditPublicKey::parse(PUBLIC).unwrap();
        assert_eq!(signer.public_key(), key);
        let line = PUBLIC.lines().nth(1).unwrap();
        assert_eq!(key.to_string(), line);
        let bare = BASE64_STANDARD.encode(key.0);
        for same in [line, &format!("{line}\n"), &bare] {
            assert_eq!(AuditPublicKey::parse(same).unwrap(), key, "{same}");
        }
        assert_eq!(format!("{signer:?}"), format!("HeadSigner({})", key.id()));
    }

    #[test]
    fn a_key_that_is_made_is_one() {
        let signer = HeadSigner::parse(private_pem(&[7; 32]).as_bytes()).unwrap();
        let text = "text";
        let signature = signer.sign_text(text);
        assert!(signer.public_key().verifies(text, &signature));
        assert!(!signer.public_key().verifies("another text", &signature));
        assert!(!AuditPublicKey::parse(PUBLIC).unwrap().verifies(text, &signature));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for wrong in
            ["", "nonsense", PUBLIC, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            let told = HeadSigner::parse(wrong.as_bytes()).unwrap_err().to_string();
            assert!(told.starts_with("must be an Ed25519 private key") && !told.contains("AAAA"), "{told}");
        }
        for wrong in ["", "nonsense", "AAAA", PRIVATE] {
            let told = AuditPublicKey::parse(wrong).unwrap_err().to_string();
            assert!(told.starts_with("must be an Ed25519 public key"), "{told}");
        }
    }
}
