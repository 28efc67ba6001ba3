//! The house keeps its shape: which module may name what (docs/architecture.md).

mod circles;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A rule: no line of code below `place` names one of `never`.
struct Rule {
    place: &'static str,
    never: &'static [&'static str],
}

/// Names that use cases never use: drivers, transports, and whoever calls them.
const USE_CASES: &[&str] =
    &["sqlx", "rusqlite", "tonic", "axum", "prost", "crate::grpc", "crate::http", "crate::app", "crate::cli"];

const RULES: &[Rule] = &[
    Rule {
        place: "src/telemetry.rs",
        never: &["crate::grpc", "crate::http", "crate::service", "crate::store", "crate::app"],
    },
    Rule {
        place: "src/domain",
        never: &[
            "sqlx",
            "rusqlite",
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
    Rule { place: "src/service", never: USE_CASES },
    Rule { place: "src/service", never: &["crate::operator"] },
    Rule { place: "src/operator", never: USE_CASES },
    Rule {
        place: "src/store",
        never: &[
            "tonic",
            "axum",
            "prost",
            "crate::service",
            "crate::operator",
            "crate::grpc",
            "crate::http",
            "crate::auth",
        ],
    },
    Rule { place: "src/store/sqlite", never: &["Postgres", "PgPool", "store::postgres"] },
    Rule { place: "src/store/postgres", never: &["Sqlite", "rusqlite", "store::sqlite"] },
    Rule {
        place: "src/grpc",
        never: &[
            "sqlx",
            "rusqlite",
            "crate::store",
            "crate::operator",
            "crate::http",
            "crate::app",
            "crate::cli",
        ],
    },
    Rule {
        place: "src/http",
        never: &[
            "sqlx",
            "rusqlite",
            "tonic",
            "prost",
            "crate::store",
            "crate::operator",
            "crate::grpc",
            "crate::app",
            "crate::cli",
        ],
    },
    Rule { place: "src/auth", never: &["sqlx", "rusqlite", "tonic", "axum", "prost", "crate::service"] },
    Rule { place: "src/error.rs", never: &["sqlx", "rusqlite", "tonic", "axum", "prost", "http::"] },
    Rule { place: "src/app", never: &["sqlx", "rusqlite", "prost"] },
    Rule {
        place: "src/server",
        never: &["sqlx", "rusqlite", "prost", "crate::store", "crate::operator", "crate::app", "crate::cli"],
    },
    Rule {
        place: "src/config",
        never: &["sqlx", "rusqlite", "tonic", "prost", "crate::app", "crate::cli", "crate::service"],
    },
    Rule {
        place: "src/feed",
        never: &[
            "sqlx",
            "rusqlite",
            "tonic",
            "axum",
            "prost",
            "crate::service",
            "crate::operator",
            "crate::app",
        ],
    },
    Rule { place: "src/cli", never: &["sqlx", "rusqlite", "tonic", "axum", "prost", "prost_types"] },
    Rule {
        place: "src/cli/client",
        never: &[
            "crate::app",
            "crate::auth",
            "crate::service",
            "crate::operator",
            "crate::store",
            "crate::http",
            "crate::grpc",
        ],
    },
    Rule {
        place: "src/client",
        never: &[
            "sqlx",
            "rusqlite",
            "axum",
            "crate::app",
            "crate::auth",
            "crate::cli",
            "crate::error",
            "crate::http",
            "crate::service",
            "crate::store",
        ],
    },
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
    let breaches = breaches_in(&text, never);
    breaches.into_iter().map(|breach| format!("{}: {breach}", file.display())).collect()
}

fn breaches_in(text: &str, never: &[&str]) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let imported = groups(&code).into_iter().map(|name| format!("crate::{name}"));
    let all: Vec<_> = code.lines().map(|line| line.trim().to_owned()).chain(imported).collect();
    all.into_iter().filter(|line| never.iter().any(|word| names(line, word))).collect()
}

/// Whether `line` names `word`, and not only something that ends like it.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(|c| is_part(c) || c == '"') && !after.starts_with(is_part)
    })
}

/// What `use crate::{ … }` imports, by the first name of each path.
fn groups(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, opening) in code.match_indices("use crate::{") {
        let (mut depth, mut name) = (1, String::new());
        for c in code[at + opening.len()..].chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                found.push(std::mem::take(&mut name));
            } else {
                name.push(c);
            }
            if depth == 0 {
                break;
            }
        }
    }
    let first = |path: String| path.trim().split([':', ' ']).next().unwrap_or_default().to_owned();
    found.into_iter().map(first).filter(|name| !name.is_empty()).collect()
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
fn the_check_itself_sees_breaches_however_they_are_written() {
    let breach = |code: &str| !breaches_in(code, &["sqlx", "crate::store"]).is_empty();
    assert!(breach("use sqlx::Row;") && breach("fn f(row: &sqlx::Row) {}"));
    assert!(breach("use crate::store::Store;"));
    assert!(breach("use crate::{\n    domain::{Alert, Name},\n    store::{Store, StoreError},\n};"));
    assert!(!breach("use crate::{domain::store_words, error::Error};"));
    assert!(!breach("// sqlx is named here\nuse crate::stores;"));
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
