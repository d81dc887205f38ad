//! Which file uses which: the module tree of a target, and the file that defines what a path in it names.
//!
//! A name is followed through imports and re-exports to the file that defines it. Neither `mod` nor `pub use` makes a
//! file use another: it only lists what it has. Methods are not followed, for that needs types.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit_mut::{self, VisitMut};

use super::code;
use super::reach;
use super::tree::Tree;

/// Which sources (by their place in the tree) use which, and the first line where they do.
pub(crate) type Edges = BTreeMap<(usize, usize), usize>;

/// The edges between the files of each target that is not a test.
pub(crate) fn edges(tree: &Tree) -> Edges {
    let mut found = Edges::new();
    let roots = tree.crates.iter().flat_map(|krate| &krate.roots);
    for root in roots.filter(|root| !root.test) {
        let mut modules = Modules::new(tree);
        modules.add_file(&root.path, None, reach::parent(&root.path).to_owned());
        modules.edges(&mut found);
    }
    found
}

struct Modules<'a> {
    tree: &'a Tree,
    at: BTreeMap<&'a str, usize>,
    all: Vec<Module>,
}

struct Module {
    file: usize,
    parent: Option<usize>,
    names: BTreeMap<String, BTreeSet<Name>>,
    globs: Vec<String>,
    /// The paths that its code names, with their lines.
    uses: Vec<(usize, String)>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// An item of this very module.
    Item,
    Module(usize),
    Import(String),
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// Something that this file defines.
    Item(usize),
    Module(usize),
    /// Something of another crate.
    Outside,
}

impl<'a> Modules<'a> {
    fn new(tree: &'a Tree) -> Self {
        let at = tree.sources.iter().enumerate();
        Self {
            tree,
            at: at.map(|(index, source)| (source.path.as_str(), index)).collect(),
            all: Vec::new(),
        }
    }

    /// Adds the module of a file, and those below it. Its children are in `home`, unless it is a `mod.rs`.
    fn add_file(&mut self, path: &str, parent: Option<usize>, home: String) -> Option<usize> {
        let file = *self.at.get(path)?;
        let source = &self.tree.sources[file];
        let syntax = code::shipped(source.syntax.as_ref().ok()?);
        let home = if path.ends_with("/mod.rs") {
            reach::parent(path).to_owned()
        } else {
            home
        };
        Some(self.add(syntax.items, file, parent, &home))
    }

    fn add(&mut self, items: Vec<syn::Item>, file: usize, parent: Option<usize>, home: &str) -> usize {
        let id = self.all.len();
        self.all.push(Module {
            file,
            parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            uses: Vec::new(),
        });
        for item in items {
            match item {
                syn::Item::Mod(item) => {
                    let home = format!("{home}/{}", item.ident);
                    let name = item.ident.to_string();
                    let child = if let Some((_, items)) = item.content {
                        Some(self.add(items, file, Some(id), &home))
                    } else {
                        let folder = reach::parent(&self.tree.sources[file].path);
                        reach::candidates(&item, folder, &home)
                            .iter()
                            .find_map(|path| self.add_file(path, Some(id), home.clone()))
                    };
                    if let Some(child) = child {
                        self.name(id, name, Name::Module(child));
                    }
                }
                syn::Item::Use(item) => self.import(id, &item),
                mut item => {
                    if let Some(name) = defined(&item) {
                        self.name(id, name, Name::Item);
                    }
                    let mut inner = InnerUses(Vec::new());
                    inner.visit_item_mut(&mut item);
                    inner.0.iter().for_each(|item| self.import(id, item));
                    self.all[id].uses.extend(code::paths(&item));
                }
            }
        }
        id
    }

    fn name(&mut self, module: usize, name: String, is: Name) {
        self.all[module].names.entry(name).or_default().insert(is);
    }

    fn import(&mut self, module: usize, item: &syn::ItemUse) {
        for import in code::imports(item) {
            let path = import.path.trim_end_matches("::*").to_owned();
            // A re-export uses nothing yet: its name in the code of this file does.
            if matches!(item.vis, syn::Visibility::Inherited) {
                self.all[module].uses.push((import.line, path.clone()));
            }
            match import.name {
                Some(name) => self.name(module, name, Name::Import(path)),
                None => self.all[module].globs.push(path),
            }
        }
    }

    fn edges(&self, found: &mut Edges) {
        for (id, module) in self.all.iter().enumerate() {
            for (line, path) in &module.uses {
                for target in self.walk(id, path, &mut BTreeSet::new()) {
                    let Target::Item(file) = target else { continue };
                    if file != module.file {
                        let first = found.entry((module.file, file)).or_insert(*line);
                        *first = (*first).min(*line);
                    }
                }
            }
        }
    }

    /// What a path leads to from a module. `open` has the imports that are being followed: they may go in circles.
    fn walk(&self, from: usize, path: &str, open: &mut BTreeSet<(usize, String)>) -> BTreeSet<Target> {
        let mut names = path.split("::");
        let first = names.next().unwrap_or_default();
        let mut found = match self.step(from, first) {
            Some(module) => BTreeSet::from([Target::Module(module)]),
            None => self.look_up(from, first, open),
        };
        for name in names {
            // A path goes on in the module where a function has the same name.
            let is_module = |target: &Target| matches!(target, Target::Module(_));
            if found.iter().any(is_module) {
                found.retain(is_module);
            }
            let mut next = BTreeSet::new();
            for target in found {
                let Target::Module(module) = target else {
                    next.insert(target);
                    continue;
                };
                let mut deeper = match self.step(module, name) {
                    Some(module) => BTreeSet::from([Target::Module(module)]),
                    None => self.look_up(module, name, open),
                };
                if deeper.is_empty() {
                    // A macro has made it.
                    deeper.insert(Target::Item(self.all[module].file));
                }
                next.append(&mut deeper);
            }
            found = next;
        }
        found
    }

    fn step(&self, from: usize, name: &str) -> Option<usize> {
        match name {
            "crate" => Some(0),
            "self" => Some(from),
            "super" => self.all[from].parent,
            _ => None,
        }
    }

    /// What a name is in a module; nothing where it does not have it.
    fn look_up(&self, module: usize, name: &str, open: &mut BTreeSet<(usize, String)>) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        for is in self.all[module].names.get(name).into_iter().flatten() {
            match is {
                Name::Item => _ = found.insert(Target::Item(self.all[module].file)),
                Name::Module(child) => _ = found.insert(Target::Module(*child)),
                Name::Import(path) => {
                    if open.insert((module, path.clone())) {
                        let mut targets = self.walk(module, path, open);
                        if targets.is_empty() {
                            targets.insert(Target::Outside);
                        }
                        found.append(&mut targets);
                        open.remove(&(module, path.clone()));
                    }
                }
            }
        }
        if !found.is_empty() {
            return found;
        }
        for around in &self.all[module].globs {
            if !open.insert((module, format!("{around}::*"))) {
                continue;
            }
            for target in self.walk(module, around, open) {
                if let Target::Module(around) = target {
                    found.append(&mut self.look_up(around, name, open));
                }
            }
            open.remove(&(module, format!("{around}::*")));
        }
        found
    }
}

/// Takes the imports out of functions.
struct InnerUses(Vec<syn::ItemUse>);

impl VisitMut for InnerUses {
    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| match statement {
            syn::Stmt::Item(syn::Item::Use(item)) => {
                self.0.push(item.clone());
                false
            }
            _ => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}

/// The name that an item gives to something.
fn defined(item: &syn::Item) -> Option<String> {
    use syn::Item;
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges of a crate of these files, as `from:line to`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut tree = Tree::default().with_crate("a", &[]);
        for (path, text) in files {
            tree = tree.with_source(&format!("crates/a/src/{path}"), text);
        }
        let name = |file: usize| tree.sources[file].path["crates/a/src/".len()..].to_owned();
        edges(&tree)
            .into_iter()
            .map(|((from, to), line)| format!("{}:{line} {}", name(from), name(to)))
            .collect()
    }

    #[test]
    fn a_declaration_and_a_re_export_use_nothing() {
        let lib = "mod b;\npub mod c;\npub use b::{B, make};\npub(crate) use c::C;";
        let b = "use super::C;\npub struct B(C);\npub fn make() {}";
        let c = "pub struct C;\npub fn f() -> C { C }";
        assert_eq!(
            found(&[("lib.rs", lib), ("b.rs", b), ("c.rs", c)]),
            ["b.rs:1 c.rs"]
        );
    }

    #[test]
    fn a_re_exported_name_in_the_code_is_a_use() {
        let lib = "mod b;\npub use b::B;\nfn f() -> B {}\nfn g() { format!(\"{}\", b::c()) }";
        assert_eq!(
            found(&[("lib.rs", lib), ("b.rs", "pub struct B;\npub fn c() {}")]),
            ["lib.rs:3 b.rs"]
        );
    }

    #[test]
    fn paths_are_followed_to_the_file_that_defines_them() {
        for (b, expected) in [
            ("fn f() { super::own(); }", "b.rs:1 lib.rs"),
            ("fn f() { crate::own(); }", "b.rs:1 lib.rs"),
            ("fn f() { super::Kind::new(); }", "b.rs:1 lib.rs"),
            ("fn f() { super::d::deep::e(); }", "b.rs:1 d/deep.rs"),
            ("fn f() { super::d::e(); }", "b.rs:1 d/deep.rs"),
            ("use super::d;\nfn f() { d::e(); }", "b.rs:2 d/deep.rs"),
            (
                "use crate::d::{self as x};\nfn f() { vec![x::e()] }",
                "b.rs:2 d/deep.rs",
            ),
            ("fn f() {\nuse crate::d::e as g;\ng(); }", "b.rs:2 d/deep.rs"),
            ("use super::*;\nfn f() { own(); }", "b.rs:2 lib.rs"),
            ("use super::d::*;\nfn f() { e(); }", "b.rs:2 d/deep.rs"),
            ("use super::Kind::*;", "b.rs:1 lib.rs"),
            ("mod inner { fn f() { super::super::own(); } }", "b.rs:1 lib.rs"),
            ("struct S { k: super::Kind }", "b.rs:1 lib.rs"),
            ("fn f() { super::d::made_by_macro(); }", "b.rs:1 d/mod.rs"),
            ("fn f() { x(..super::own()); }", "b.rs:1 lib.rs"),
        ] {
            let files = [
                ("lib.rs", "mod b;\nmod d;\npub struct Kind;\nfn own() {}"),
                ("d/mod.rs", "mod deep;\npub(crate) use deep::e;"),
                ("d/deep.rs", "pub fn e() {}"),
                ("b.rs", b),
            ];
            assert_eq!(found(&files), [expected], "{b}");
        }
    }

    #[test]
    fn what_is_no_use_of_another_file_makes_no_edge() {
        for b in [
            "use super::d;",
            "use std::fmt;\nfn f() { fmt::own(); }",
            "pub use super::own;",
            "use super::*;\nfn f(x: X) { x.own(); x.own }",
            "#[cfg(test)]\nmod tests { use super::super::own; }",
            "fn own() {}\nfn f() { own(); self::own(); }",
            "use super::round;\nfn f() { super::round::g(); }",
        ] {
            let files = [
                ("lib.rs", "mod b;\nmod d;\nfn own() {}\nuse other::round;"),
                ("d.rs", ""),
                ("b.rs", b),
            ];
            assert_eq!(found(&files), [""; 0], "{b}");
        }
    }

    #[test]
    fn imports_that_go_in_circles_are_left() {
        let files = [
            ("lib.rs", "mod b;\npub use b::*;\npub use b::x;"),
            (
                "b.rs",
                "pub use super::*;\npub use super::x;\nfn f() { x(); y(); }",
            ),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
