//! The house keeps its shape: which module may name what (docs/architecture.md).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A rule: no line of code below `place` names one of `never`.
struct Rule {
    place: &'static str,
    never: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        place: "src/domain",
        never: &[
            "sqlx",
            "tonic",
            "axum",
            "prost",
            "tokio",
            "crate::store",
            "crate::service",
            "crate::grpc",
            "crate::http",
            "crate::error",
            "crate::auth",
        ],
    },
    Rule {
        place: "src/service",
        never: &["sqlx", "tonic", "axum", "prost", "crate::grpc", "crate::http", "crate::app", "crate::cli"],
    },
    Rule {
        place: "src/store",
        never: &["tonic", "axum", "prost", "crate::service", "crate::grpc", "crate::http", "crate::auth"],
    },
    Rule { place: "src/store/sqlite", never: &["Postgres", "PgPool", "store::postgres"] },
    Rule { place: "src/store/postgres", never: &["Sqlite", "store::sqlite"] },
    Rule { place: "src/grpc", never: &["sqlx", "crate::store", "crate::http", "crate::app", "crate::cli"] },
    Rule {
        place: "src/http",
        never: &["sqlx", "tonic", "prost", "crate::store", "crate::grpc", "crate::app", "crate::cli"],
    },
    Rule { place: "src/auth.rs", never: &["sqlx", "tonic", "axum", "prost", "crate::service"] },
    Rule { place: "src/error.rs", never: &["sqlx", "tonic", "axum", "prost", "http::"] },
    Rule { place: "src/app", never: &["sqlx", "prost"] },
    Rule { place: "src/cli", never: &["sqlx", "tonic", "axum", "prost"] },
];

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let nested = paths.iter().filter(|path| path.is_dir()).flat_map(|folder| sources(folder));
    let files = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    files.cloned().chain(nested).collect()
}

/// The lines of code that name one of `never` as a word.
fn breaches(file: &Path, never: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let names = |line: &str, word: &str| {
        line.match_indices(word)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"'))
    };
    code.filter(|(_, line)| never.iter().any(|word| names(line, word)))
        .map(|(number, line)| format!("{}:{}: {}", file.display(), number + 1, line.trim()))
        .collect()
}

#[test]
fn arrows_only_point_as_drawn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found: Vec<_> = RULES
        .iter()
        .flat_map(|rule| sources(&root.join(rule.place)).into_iter().map(move |file| (file, rule.never)))
        .flat_map(|(file, never)| breaches(&file, never))
        .collect();
    assert!(found.is_empty(), "modules that name what they must not:\n{}", found.join("\n"));
}

#[test]
fn the_check_itself_sees_a_breach() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(!breaches(&root.join("src/store/failure.rs"), &["sqlx"]).is_empty());
    assert!(breaches(&root.join("src/domain/id.rs"), &["sqlx"]).is_empty());
}

#[test]
fn main_stays_thin() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40);
}

#[test]
fn both_stores_have_the_same_migrations() {
    let names = |store: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(store);
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
