//! Documents that people find their way by: paths and links in them lead somewhere, and the pages stay short.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most lines of a page that is read to find a file.
const MOST_LINES: usize = 90;
/// Folders that a path of the repository begins with.
const ROOTS: &[&str] = &[
    "src/",
    "docs/",
    "tests/",
    "proto/",
    "migrations/",
    "clients/",
    "benches/",
    "scripts/",
    ".ci/",
    ".cargo/",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Markdown pages at `place`, folders below it included.
fn pages(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let is_page = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|ending| ending == "md");
    paths.into_iter().filter(is_page).flat_map(|path| pages(&path)).collect()
}

/// Paths of the repository that stand in backticks, with braces expanded.
fn paths(text: &str) -> Vec<String> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let paths = quoted.filter(|part| ROOTS.iter().any(|root| part.starts_with(root)));
    paths.filter(|path| !path.contains([' ', '…', '*'])).flat_map(expand).collect()
}

/// `a/{b,c}/d` as `a/b/d` and `a/c/d`.
fn expand(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap_or_else(|| panic!("no end of the braces: {path}"));
    choices.split(',').flat_map(|choice| expand(&format!("{before}{choice}{after}"))).collect()
}

/// Targets of links within the repository: the file, empty for the page itself, and the heading, if any.
fn links(text: &str) -> Vec<(&str, Option<&str>)> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let ours = targets.filter(|target| !target.contains("://"));
    ours.map(|target| target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading))))
        .collect()
}

/// The names by which links lead to the headings of a page.
fn headings(text: &str) -> Vec<String> {
    let titles =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    titles
        .map(|title| title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// Checks that a link of `page` leads to a file and a heading that exist.
fn leads(page: &Path, (file, heading): (&str, Option<&str>)) -> bool {
    let target = if file.is_empty() { page.to_owned() } else { page.with_file_name(file) };
    let has = |name: &str| {
        fs::read_to_string(&target).is_ok_and(|text| headings(&text).iter().any(|one| one == name))
    };
    target.exists() && heading.is_none_or(has)
}

#[test]
fn design_pages_name_only_files_that_exist() {
    let docs = root().join("docs");
    let mut pages = pages(&docs.join("design"));
    pages.push(docs.join("architecture.md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let missing: Vec<_> = paths(&text).into_iter().filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{} names files that do not exist: {missing:?}", page.display());
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let docs = root().join("docs");
    let top = ["README.md", "CHANGELOG.md", "SECURITY.md", "clients/README.md"].map(|page| root().join(page));
    for page in pages(&docs).into_iter().chain(top) {
        let text = fs::read_to_string(&page).unwrap();
        let broken: Vec<_> = links(&text).into_iter().filter(|link| !leads(&page, *link)).collect();
        assert!(broken.is_empty(), "{} has broken links: {broken:?}", page.display());
    }
}

#[test]
fn pages_to_find_a_file_by_stay_short() {
    let docs = root().join("docs");
    for page in pages(&docs.join("design")).into_iter().chain([docs.join("architecture.md")]) {
        let lines = fs::read_to_string(&page).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines, more than {MOST_LINES}", page.display());
    }
}

#[test]
fn the_index_lists_every_document() {
    let docs = root().join("docs");
    let index = docs.join("README.md");
    let text = fs::read_to_string(&index).unwrap();
    let listed: Vec<_> = links(&text).into_iter().map(|(file, _)| docs.join(file)).collect();
    for page in pages(&docs).into_iter().filter(|page| *page != index) {
        assert!(listed.contains(&page), "docs/README.md does not list {}", page.display());
    }
}

#[test]
fn the_map_names_every_part_of_the_source() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let named = paths(&text);
    // Entry points, which only call the rest.
    let glue = ["src/main.rs", "src/lib.rs"];
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let part = format!("src/{}", entry.unwrap().file_name().to_string_lossy());
        let is_named = named.iter().any(|path| path.starts_with(&part));
        assert!(is_named || glue.contains(&part.as_str()), "docs/architecture.md does not name {part}");
    }
}

#[test]
fn the_checks_themselves_see_paths_and_links() {
    assert_eq!(paths("| a | `src/{a,b}/c.rs`, `make docs` |"), ["src/a/c.rs", "src/b/c.rs"]);
    assert_eq!(links("[a](b.md#c) [d](https://e) [f](#g)"), [("b.md", Some("c")), ("", Some("g"))]);
    assert_eq!(headings("# A `b`, and c\ntext"), ["a-b-and-c"]);
}
