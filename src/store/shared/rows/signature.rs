//! Rows of `head_signatures`.

use uuid::Uuid;

use crate::{
    domain::{AuditKeyId, HeadSignature, OrganizationId},
    store::{
        Inconsistent,
        shared::{cell::Cell, row::row},
    },
};

row! {
    /// A row of `head_signatures`.
    pub struct SignatureRow(signature_columns: "", "head_signatures", 2: i64 => |position| position) -> HeadSignature {
        organization_id: Uuid,
        first_position: i64,
        position: i64,
        key_id: Vec<u8>,
        signature: Vec<u8>,
    }
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

impl From<&HeadSignature> for SignatureRow {
    fn from(signature: &HeadSignature) -> Self {
        Self {
            organization_id: signature.organization_id.uuid(),
            first_position: signature.first_position,
            position: signature.position,
            key_id: signature.key_id.0.to_vec(),
            signature: signature.signature.to_vec(),
        }
    }
}
