//! No two files need each other, directly or by way of others.
//!
//! A file needs another when its code names something of it, in a `use` or by a path; tests within the file don't count, nor
//! does what a module and the modules within it name of each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use quote::ToTokens as _;
use syn::{
    Attribute, ImplItemFn, Item, ItemMod, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path of names: of a module, or of an item in one.
type Names = Vec<String>;

/// The modules of a crate, each with the items that it takes from others.
#[derive(Default)]
struct Modules(BTreeMap<Names, Module>);

#[derive(Default)]
struct Module {
    /// The paths that its code names, from the root of the crate.
    named: BTreeSet<Names>,
    /// What it offers under a name of its own though it stands elsewhere.
    exported: BTreeMap<String, Names>,
}

impl Modules {
    /// Reads the module at `path` and those within it.
    fn read(folder: &Path) -> Self {
        let mut modules = Self::default();
        modules.read_folder(folder, &Names::new());
        modules
    }

    fn read_folder(&mut self, folder: &Path, at: &Names) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let is_own = ["mod", "lib", "main"].contains(&stem.as_str());
            let module = if is_own { at.clone() } else { [at.as_slice(), &[stem]].concat() };
            if path.is_dir() {
                self.read_folder(&path, &module);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("src/main.rs")
            {
                self.add(module, &fs::read_to_string(&path).unwrap());
            }
        }
    }

    fn add(&mut self, module: Names, code: &str) {
        let file = syn::parse_file(code).unwrap();
        let mut reader = Reader { at: module.clone(), module: Module::default() };
        reader.visit_file(&file);
        self.0.insert(module, reader.module);
    }

    /// The module that what is named so stands in.
    fn home(&self, names: &[String]) -> Option<&Names> {
        let known = (0..=names.len()).rev().find_map(|length| self.0.get_key_value(&names[..length]))?;
        let (module, Module { exported, .. }) = known;
        let item = names.get(module.len())?;
        match exported.get(item) {
            Some(elsewhere) if elsewhere.as_slice() != names => self.home(elsewhere),
            _ => Some(module),
        }
    }

    /// The modules that each one needs.
    fn needs(&self) -> BTreeMap<&Names, BTreeSet<&Names>> {
        let needs = |(at, module): (&_, &Module)| {
            let homes = module.named.iter().filter_map(|names| match self.home(names) {
                Some(home) => Some(home),
                // A module itself.
                None => self.0.get_key_value(names).map(|(module, _)| module),
            });
            homes.filter(|home| !home.starts_with(at) && !at.starts_with(home)).collect()
        };
        self.0.iter().map(|(at, module)| (at, needs((at, module)))).collect()
    }

    /// For each module that needs itself in the end, the shortest way there and back.
    fn circles(&self) -> BTreeSet<String> {
        let needs = self.needs();
        let circles = needs.keys().filter_map(|start| circle(start, &needs));
        circles.map(|circle| circle.join(" → ")).collect()
    }
}

/// The shortest way from a module back to itself, told from its first module in the order of names.
fn circle(start: &Names, needs: &BTreeMap<&Names, BTreeSet<&Names>>) -> Option<Vec<String>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in &needs[way[way.len() - 1]] {
                if *next == start {
                    let first = (0..way.len()).min_by_key(|place| way[*place]).unwrap_or_default();
                    let turned = way.iter().cycle().skip(first).take(way.len() + 1);
                    return Some(turned.map(|names| names.join("::")).collect());
                }
                if seen.insert(*next) {
                    longer.push([way.as_slice(), &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Collects what the code of one module names.
struct Reader {
    /// The module that is being read, which may stand within the file's.
    at: Names,
    module: Module,
}

impl Reader {
    /// The path from the root of the crate; `None` for what is named otherwise, as other crates and locals are.
    fn absolute(&self, names: &[String]) -> Option<Names> {
        let (first, rest) = names.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Names::new(),
            "self" => self.at.clone(),
            "super" => self.at[..self.at.len().checked_sub(1)?].to_vec(),
            _ => return None,
        };
        let supers = rest.iter().take_while(|name| *name == "super").count();
        base.truncate(base.len().checked_sub(supers)?);
        base.extend(rest[supers..].iter().cloned());
        Some(base)
    }

    fn name(&mut self, names: &[String]) {
        self.module.named.extend(self.absolute(names));
    }

    fn import(&mut self, tree: &UseTree, before: &[String], is_exported: bool) {
        let joined = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &joined(&path.ident), is_exported),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before, is_exported));
            }
            UseTree::Glob(_) => self.name(before),
            UseTree::Name(name) => self.import_as(&joined(&name.ident), name.ident.to_string(), is_exported),
            UseTree::Rename(name) => {
                self.import_as(&joined(&name.ident), name.rename.to_string(), is_exported);
            }
        }
    }

    fn import_as(&mut self, names: &[String], name: String, is_exported: bool) {
        let names = match names.split_last() {
            Some((last, before)) if last == "self" => before,
            _ => names,
        };
        // In 2024 a path may also begin with a module of the one that it stands in.
        let within = [&["self".to_owned()], names].concat();
        if is_exported {
            let target = self.absolute(names).or_else(|| self.absolute(&within));
            self.module.exported.extend(target.map(|target| (name, target)));
        } else {
            self.name(names);
        }
    }

    fn name_tokens(&mut self, tokens: &str) {
        let text = tokens.replace(" :: ", "::");
        let paths = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        for path in paths.filter(|path| path.contains("::")) {
            let names: Vec<_> = path.split("::").map(str::to_owned).collect();
            self.name(&names);
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.meta.to_token_stream().to_string().contains("test")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.at.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_exported = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, &[], is_exported);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, code: &'ast Macro) {
        self.name_tokens(&code.tokens.to_string());
        visit::visit_macro(self, code);
    }
}

fn circles_of(modules: &[(&str, &str)]) -> Vec<String> {
    let mut read = Modules::default();
    for (module, code) in modules {
        let names = module.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        read.add(names, code);
    }
    read.circles().into_iter().collect()
}

#[test]
fn files_need_each_other_in_one_direction() {
    let modules = Modules::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let needed: usize = modules.needs().values().map(BTreeSet::len).sum();
    assert!(needed > modules.0.len(), "the check sees hardly anything: {needed}");
    let circles: Vec<_> = modules.circles().into_iter().collect();
    assert!(circles.is_empty(), "files that need each other:\n{}", circles.join("\n"));
}

#[test]
fn the_check_itself_sees_circles_however_they_are_written() {
    let circle = ["a → b → a"];
    assert_eq!(circles_of(&[("", ""), ("a", "use crate::b::B;"), ("b", "fn f() { super::a::g() }")]), circle);
    assert_eq!(
        circles_of(&[("", ""), ("a", "use crate::{b::B, c};"), ("b", "use crate::a::{self, A};")]),
        circle
    );
    assert_eq!(circles_of(&[("", ""), ("a", "fn f() { x!(crate::b::C) }"), ("b", "use super::a;")]), circle);
    // By way of what a module offers of another.
    let through = [("", "pub use b::B;"), ("a", "use crate::B;"), ("b", "use crate::a::A;")];
    assert_eq!(circles_of(&through), circle);
    let three = [("", ""), ("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "use crate::a::A;")];
    assert_eq!(circles_of(&three), ["a → b → c → a"]);
}

#[test]
fn the_check_itself_lets_pass_what_is_no_circle() {
    assert!(circles_of(&[("", ""), ("a", "use crate::b::B;"), ("b", "use std::a::A;")]).is_empty());
    assert!(circles_of(&[("a", "pub use b::B; mod b;"), ("a::b", "use super::A;")]).is_empty());
    let in_tests = "#[cfg(test)] mod tests { use crate::a::A; }";
    assert!(circles_of(&[("", ""), ("a", "use crate::b::B;"), ("b", in_tests)]).is_empty());
}
