//! Which sources are compiled into what: the module tree of every target, followed from its first file.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};

use super::code::{is_test_only, path_attribute};
use super::tree::{Part, Tree};

/// Notes for every source what it is compiled into.
pub(crate) fn mark(tree: &mut Tree) {
    let at: BTreeMap<&str, usize> = tree
        .sources
        .iter()
        .enumerate()
        .map(|(index, source)| (source.path.as_str(), index))
        .collect();
    let mut parts = vec![Part::Nothing; tree.sources.len()];
    let mut open: Vec<Child> = Vec::new();
    for krate in &tree.crates {
        for root in &krate.roots {
            open.push(Child {
                candidates: vec![root.path.clone()],
                home: parent(&root.path).to_owned(),
                test: root.test,
            });
        }
    }
    while let Some(child) = open.pop() {
        let Some(&index) = child.candidates.iter().find_map(|path| at.get(path.as_str())) else {
            continue;
        };
        let part = if child.test { Part::Test } else { Part::Product };
        if parts[index] == Part::Product || parts[index] == part {
            continue;
        }
        parts[index] = part;
        let source = &tree.sources[index];
        if let Ok(syntax) = &source.syntax {
            let home = if source.path.ends_with("/mod.rs") {
                parent(&source.path).to_owned()
            } else {
                child.home
            };
            let mut modules = Modules {
                folder: parent(&source.path),
                home,
                test: child.test,
                found: Vec::new(),
            };
            modules.visit_file(syntax);
            open.append(&mut modules.found);
        }
    }
    for (source, part) in tree.sources.iter_mut().zip(parts) {
        source.part = part;
    }
}

/// A module in a file of its own.
struct Child {
    /// Where it may be.
    candidates: Vec<String>,
    /// The folder of its own children, unless it is a `mod.rs`.
    home: String,
    test: bool,
}

/// Finds the modules that a file declares.
struct Modules<'a> {
    /// The file's folder, where `#[path]` starts.
    folder: &'a str,
    /// The folder of its children.
    home: String,
    test: bool,
    found: Vec<Child>,
}

impl<'a> Visit<'a> for Modules<'_> {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        let outer = (self.home.clone(), self.test);
        self.test |= is_test_only(&item.attrs);
        self.home = format!("{}/{}", self.home, item.ident);
        if item.content.is_some() {
            visit::visit_item_mod(self, item);
        } else {
            self.found.push(Child {
                candidates: candidates(item, self.folder, &self.home),
                home: self.home.clone(),
                test: self.test,
            });
        }
        (self.home, self.test) = outer;
    }
}

/// Where the file of a module may be, whose parent's file is in `folder` and whose own children are in `home`.
pub(super) fn candidates(item: &syn::ItemMod, folder: &str, home: &str) -> Vec<String> {
    match path_attribute(&item.attrs) {
        Some(path) => vec![joined(folder, &path)],
        None => vec![format!("{home}.rs"), format!("{home}/mod.rs")],
    }
}

/// A path from a folder, which may lead out of it.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The folder of a file.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(tree: &Tree, path: &str) -> Part {
        tree.sources
            .iter()
            .find(|source| source.path == path)
            .unwrap()
            .part
    }

    #[test]
    fn modules_are_followed_wherever_they_may_be() {
        let tree = Tree::default()
            .with_crate("a", &[])
            .with_source(
                "crates/a/src/lib.rs",
                "mod b; mod c; mod inline { mod e; } #[path = \"odd.rs\"] mod o;",
            )
            .with_source("crates/a/src/b.rs", "mod d;")
            .with_source("crates/a/src/b/d.rs", "")
            .with_source("crates/a/src/c/mod.rs", "mod f;")
            .with_source("crates/a/src/c/f.rs", "")
            .with_source("crates/a/src/inline/e.rs", "")
            .with_source("crates/a/src/odd.rs", "")
            .with_source("crates/a/src/lost.rs", "");
        for source in &tree.sources {
            let expected = if source.path.ends_with("lost.rs") {
                Part::Nothing
            } else {
                Part::Product
            };
            assert_eq!(source.part, expected, "{}", source.path);
        }
    }

    #[test]
    fn below_a_test_module_all_is_test() {
        let tree = Tree::default()
            .with_crate("a", &[])
            .with_source("crates/a/src/lib.rs", "#[cfg(test)] mod t; mod both;")
            .with_source("crates/a/src/t.rs", "mod deep;")
            .with_source(
                "crates/a/src/t/deep.rs",
                "#[path = \"../both.rs\"] mod again; #[path = \"../../far.rs\"] mod far;",
            )
            .with_source("crates/a/far.rs", "")
            .with_source("crates/a/src/both.rs", "");
        assert_eq!(part(&tree, "crates/a/src/t/deep.rs"), Part::Test);
        assert_eq!(part(&tree, "crates/a/far.rs"), Part::Test);
        assert_eq!(part(&tree, "crates/a/src/both.rs"), Part::Product);
    }
}
