//! Signatures of heads: what tells the events that redflag appended from those that somebody else did who may write to the
//! database.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::{
    ChainHash, EstimatedSize, Head, OrganizationId,
    audit_key::{AuditKeyId, AuditPublicKey, HeadSigner},
};

/// The signature of a head that a transaction left: whoever has the key appended the events from `first_position` to
/// `position`, and no others are vouched for by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSignature {
    /// The organization of the feed.
    pub organization_id: OrganizationId,
    /// The first event that the transaction appended.
    pub first_position: i64,
    /// The last, which the head names.
    pub position: i64,
    /// The key that signed.
    pub key_id: AuditKeyId,
    /// The signature, of the text that docs/audit.md describes.
    pub signature: [u8; 64],
}

impl HeadSigner {
    /// Signs that the events after `from`, up to `to`, were appended by whoever has the key; `None` where there are none.
    pub fn sign(&self, organization_id: OrganizationId, from: Head, to: Head) -> Option<HeadSignature> {
        if to.position <= from.position {
            return None;
        }
        let first_position = from.position + 1;
        Some(HeadSignature {
            organization_id,
            first_position,
            position: to.position,
            key_id: self.id(),
            signature: self.sign_text(&signed_text(organization_id, first_position, to)),
        })
    }
}

impl HeadSignature {
    /// Returns true where it was made with the key, of a head with this hash.
    pub fn is_by(&self, key: &AuditPublicKey, hash: ChainHash) -> bool {
        let head = Head { position: self.position, hash };
        let is_range = 1 <= self.first_position && self.first_position <= self.position;
        is_range
            && key.verifies(&signed_text(self.organization_id, self.first_position, head), &self.signature)
    }

    /// The signature as an export carries it.
    pub fn to_json(&self) -> Map<String, Value> {
        let content = json!({
            "organization_id": self.organization_id.to_string(),
            "first_position": self.first_position,
            "position": self.position,
            "key_id": self.key_id.to_string(),
            "signature": BASE64_STANDARD.encode(self.signature),
        });
        match content {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

impl EstimatedSize for HeadSignature {
    fn estimated_size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The text that is signed. Its first line says what it is, so that no signature of something else passes for one. The hash
/// covers all events up to the head; the first position says which of them are vouched for.
pub fn signed_text(organization: OrganizationId, first_position: i64, head: Head) -> String {
    let Head { position, hash } = head;
    format!("redflag-head-v1\n{organization}\n{first_position}\n{position}\n{hash}\n")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::audit_key::private_pem;

    #[test]
    fn a_signature_fits_nothing_but_what_was_signed() {
        let signer = HeadSigner::parse(private_pem(&[7; 32]).as_bytes()).unwrap();
        let key = signer.public_key();
        let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
        let before = Head { position: 4, hash: ChainHash([1; 32]) };
        let head = Head { position: 6, hash: ChainHash([2; 32]) };
        let given = signer.sign(organization, before, head).unwrap();
        assert!(given.is_by(&key, head.hash));
        let mut altered = given;
        altered.signature[0] ^= 1;
        for other in [
            HeadSignature { organization_id: OrganizationId::from_uuid(Uuid::from_u128(2)), ..given },
            HeadSignature { first_position: 4, ..given },
            HeadSignature { first_position: 7, ..given },
            HeadSignature { position: 7, ..given },
            altered,
        ] {
            assert!(!other.is_by(&key, head.hash), "{other:?}");
        }
        assert!(!given.is_by(&key, before.hash));
    }

    #[test]
    fn only_events_are_signed() {
        let signer = HeadSigner::parse(private_pem(&[7; 32]).as_bytes()).unwrap();
        let organization = OrganizationId::from_uuid(Uuid::nil());
        let head = Head { position: 3, hash: ChainHash([1; 32]) };
        assert!(signer.sign(organization, head, head).is_none());
        let signature = signer.sign(organization, Head::EMPTY, head).unwrap();
        assert_eq!((signature.first_position, signature.position), (1, 3));
        assert!(signature.is_by(&signer.public_key(), head.hash));
    }
}
