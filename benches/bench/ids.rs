//! Ids and choices that look random and cost next to nothing.

use uuid::Uuid;

/// Sebastiano Vigna's `SplitMix64`: one multiplication chain a number.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts where the operating system says, so that no two runs make the same ids.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(getrandom::u64()?))
    }

    /// Another stream, for another caller.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A random UUID.
    pub fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(Uuid::from_u64_pair(self.next(), self.next()).into_bytes())
            .into_uuid()
    }

    /// The id of a balance that nobody has named before.
    pub fn balance_id(&mut self) -> String {
        format!("bln_{}", self.uuid())
    }

    /// One of `choices`, which must not be empty.
    pub fn choose<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        let count = choices.len() as u64;
        let index = usize::try_from(self.next() % count).unwrap_or_default();
        &choices[index]
    }

    /// 32 bytes, as many as a hash has.
    pub fn hash(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}
