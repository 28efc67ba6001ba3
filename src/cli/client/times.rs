//! Ages of instants, for people.

use chrono::TimeDelta;

/// Writes an age in the largest unit that fits: `just now`, `3 min ago`; `in 2 h` when the local clock is behind.
pub fn ago(passed: TimeDelta) -> String {
    let seconds = passed.num_seconds();
    let size = seconds.unsigned_abs();
    let (count, unit) = match size {
        0..5 => return "just now".to_owned(),
        5..60 => (size, "s"),
        60..3_600 => (size / 60, "min"),
        3_600..86_400 => (size / 3_600, "h"),
        86_400..31_536_000 => (size / 86_400, "d"),
        _ => (size / 31_536_000, "y"),
    };
    if seconds < 0 { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_the_largest_unit_that_fits() {
        let text = |seconds| ago(TimeDelta::seconds(seconds));
        let all = [0, 4, 5, 59, 60, 200, 3_600, 86_399, 86_400, 40_000_000, -200].map(text);
        let expected = [
            "just now",
            "just now",
            "5 s ago",
            "59 s ago",
            "1 min ago",
            "3 min ago",
            "1 h ago",
            "23 h ago",
            "1 d ago",
            "1 y ago",
            "in 3 min",
        ];
        assert_eq!(all, expected);
    }
}
