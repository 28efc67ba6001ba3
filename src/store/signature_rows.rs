//! Signatures of heads as any database gives them, on their way to domain types.

use uuid::Uuid;

use super::{Inconsistent, rows::Cell};
use crate::domain::{AuditKeyId, HeadSignature, OrganizationId};

/// A row of `head_signatures`.
pub struct SignatureRow {
    pub organization_id: Uuid,
    pub first_position: i64,
    pub position: i64,
    pub key_id: Vec<u8>,
    pub signature: Vec<u8>,
}

/// The columns of a [`SignatureRow`], in the order in which both stores read them.
macro_rules! signature_columns {
    () => {
        "organization_id, first_position, position, key_id, signature"
    };
}
pub(in crate::store) use signature_columns;

impl TryFrom<SignatureRow> for HeadSignature {
    type Error = Inconsistent;

    fn try_from(row: SignatureRow) -> Result<Self, Inconsistent> {
        let cell = Cell { table: "head_signatures", row: &row.position };
        Ok(Self {
            organization_id: OrganizationId::from_uuid(row.organization_id),
            first_position: row.first_position,
            position: row.position,
            key_id: AuditKeyId(cell.read("key_id", bytes(row.key_id))?),
            signature: cell.read("signature", bytes(row.signature))?,
        })
    }
}

/// As many bytes as there must be.
fn bytes<const N: usize>(stored: Vec<u8>) -> Result<[u8; N], String> {
    stored.try_into().map_err(|stored: Vec<u8>| format!("must be {N} bytes, is {}", stored.len()))
}
