//! Repeats of one alert: what folds them, and which of them history tells.

use super::Text;

/// The key that repeats of one alert share; while an alert with that key is not closed, a further flag is folded into it.
pub type DedupKey = Text<1, 200>;

/// Returns true where the `occurrence`th occurrence of an alert writes an event: 2 to 10, and then each count of one significant digit
/// (20, 30 … 100, 200 …). Ledger monitors fire on every transaction, and history must not drown in them.
pub const fn is_recorded(occurrence: i64) -> bool {
    let mut leading = occurrence;
    while leading >= 10 {
        if leading % 10 != 0 {
            return false;
        }
        leading /= 10;
    }
    occurrence > 1
}

/// The first occurrence after `occurrence` that history tells of.
pub const fn next_recorded(occurrence: i64) -> i64 {
    let mut unit = 1;
    while occurrence / unit >= 10 {
        unit *= 10;
    }
    (occurrence / unit + 1) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_tells_of_ever_rarer_occurrences() {
        let told: Vec<_> = (0..=1_000).filter(|&count| is_recorded(count)).collect();
        let expected: Vec<i64> =
            (2..=10).chain((2..=10).map(|n| n * 10)).chain((2..=10).map(|n| n * 100)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn the_next_one_told_follows() {
        for count in 1..2_000 {
            let next = (count + 1..=10 * count).find(|&later| is_recorded(later)).unwrap();
            assert_eq!(next_recorded(count), next, "{count}");
        }
    }
}
