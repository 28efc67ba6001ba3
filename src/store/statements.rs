//! Keeps the SQL of a backend in one list, so that a test can prepare every statement of it.

/// Declares statements as constants, and `ALL` with the name and the text of each.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)+

        /// Every statement of fixed text: its name and the text.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

pub(in crate::store) use statements;
