//! Keeps the SQL of a backend in one list, so that a test can prepare every statement of it.

/// Declares statements as constants, and `FIXED` with the name and the text of each.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(in $crate::store) const $name: &str = $sql;)+

        /// The statements of fixed text: the name and the text of each.
        pub const FIXED: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

/// Declares statements that are composed from tables when they are first needed, and `composed()` with the name and the text of
/// each.
macro_rules! composed {
    ($($(#[$doc:meta])* $name:ident = $compose:expr;)+) => {
        $($(#[$doc])* pub(in $crate::store) static $name: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| $compose);)+

        /// The statements that are composed: the name and the text of each.
        pub fn composed() -> Vec<(&'static str, &'static str)> {
            vec![$((stringify!($name), $name.as_str())),+]
        }
    };
}

pub(in crate::store) use {composed, statements};
