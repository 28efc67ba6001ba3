//! Page tokens: opaque, and refused when damaged or given with another list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::{AnomalyId, Cursor, Invalid, clock},
    error::{Error, Reason},
};

/// The form of the token; a later form gets another number.
const VERSION: u8 = 1;
/// How many bytes of the digest a token carries.
const SUM: usize = 8;

/// The token for `position` in the list that `list` describes: version, digest of both, position; in base64url.
pub fn seal(list: &str, position: &[u8]) -> String {
    let mut token = vec![VERSION];
    token.extend(sum(list, position));
    token.extend(position);
    URL_SAFE_NO_PAD.encode(token)
}

/// The position that a token for the list `list` stands for.
///
/// # Errors
/// [`Reason::InvalidPageToken`] when the token is damaged or was given for another list.
pub fn open(list: &str, token: &str) -> Result<Vec<u8>, Error> {
    let raw = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
    let (head, position) = raw.split_at_checked(1 + SUM).ok_or_else(refused)?;
    if head[0] != VERSION || head[1..] != sum(list, position) {
        return Err(refused());
    }
    Ok(position.to_vec())
}

/// The error for a token that stands for no position in its list.
pub fn refused() -> Error {
    let rule = Invalid::new("is damaged, or from a list with other filters or another order");
    Error::violation(Reason::InvalidPageToken, "page_token", rule)
}

fn sum(list: &str, position: &[u8]) -> [u8; SUM] {
    let mut hash = Sha256::new();
    hash.update(list);
    // Separates the two: no list description holds a NUL.
    hash.update([0]);
    hash.update(position);
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hash.finalize()[..SUM]);
    sum
}

/// A cursor as the position in a token.
pub fn cursor_bytes(cursor: &Cursor) -> Vec<u8> {
    let mut bytes = cursor.created_at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend(cursor.anomaly_id.uuid().as_bytes());
    bytes
}

/// The cursor that a token's position stands for.
///
/// # Errors
/// [`Reason::InvalidPageToken`] when it stands for none.
pub fn parse_cursor(position: &[u8]) -> Result<Cursor, Error> {
    let (micros, uuid) = position.split_first_chunk::<8>().ok_or_else(refused)?;
    let created_at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros));
    let created_at = created_at.filter(clock::is_writable).ok_or_else(refused)?;
    let uuid = Uuid::from_slice(uuid).map_err(|_| refused())?;
    Ok(Cursor { created_at, anomaly_id: AnomalyId::from_uuid(uuid) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_round_trip(list in "\\PC{0,40}", micros in 0..4_000_000_000_000_000_i64, bits in any::<u128>()) {
            let cursor = Cursor {
                created_at: DateTime::from_timestamp_micros(micros).unwrap(),
                anomaly_id: AnomalyId::from_uuid(Uuid::from_u128(bits)),
            };
            let token = seal(&list, &cursor_bytes(&cursor));
            prop_assert_eq!(parse_cursor(&open(&list, &token).unwrap()).unwrap(), cursor);
        }

        #[test]
        fn another_list_or_any_damage_is_refused(list in "[a-z]{1,9}", other in "[a-z]{1,9}", at in 0..33_usize, bit in 0..8_u8) {
            let token = seal(&list, &[7; 24]);
            if list != other {
                prop_assert_eq!(open(&other, &token).unwrap_err().reason(), Reason::InvalidPageToken);
            }
            let mut damaged = URL_SAFE_NO_PAD.decode(&token).unwrap();
            damaged[at] ^= 1 << bit;
            prop_assert!(open(&list, &URL_SAFE_NO_PAD.encode(damaged)).is_err());
        }

        #[test]
        fn junk_is_refused(token in any::<String>(), position in any::<Vec<u8>>()) {
            prop_assert_eq!(open("list", &token).unwrap_err().reason(), Reason::InvalidPageToken);
            prop_assert!(position.len() == 24 || parse_cursor(&position).is_err());
        }
    }
}
