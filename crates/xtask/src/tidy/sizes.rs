//! Rule: no crate of the product is too large, and the registry of kinds is small; with `--sizes`, how large all are.
//!
//! Lines are counted in files that are compiled into more than tests, without the items in them that only tests have, and
//! without `fuzzing.rs`: what fuzz targets call must be part of a crate to reach what is private there.

use std::fmt::Write as _;

use syn::spanned::Spanned as _;

use super::code;
use super::map::{self, Nature};
use super::problem::Problem;
use super::tree::{Krate, Part, Source, Tree};

const MOST_LINES: usize = 7_000;

/// Crates that must be smaller than others.
const SMALL: &[(&str, usize)] = &[("services", 300)];

/// Finds crates that are too large.
pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let shipped = |krate: &&Krate| map::nature(&krate.name) != Nature::Development;
    for krate in tree.crates.iter().filter(shipped) {
        let small = SMALL.iter().find(|(name, _)| *name == krate.name);
        let most = small.map_or(MOST_LINES, |(_, most)| *most);
        let lines: usize = files(tree, krate).iter().sum();
        if lines > most {
            problems.push(Problem {
                file: krate.manifest(),
                line: 1,
                what: format!("{} has {lines} lines without tests, of {most} at most", krate.name),
                why: "what changes for one reason is one crate, which can be built, tested and understood alone",
                resolve: "give what stands on its own a crate of its own".to_owned(),
            });
        }
    }
    problems
}

/// Each crate with the number of its files, their lines, and the lines of the file in the middle.
pub(crate) fn table(tree: &Tree) -> String {
    let mut text = format!("{:<12} {:>5} {:>6} {:>6}\n", "crate", "files", "lines", "median");
    for krate in &tree.crates {
        let mut files = files(tree, krate);
        files.sort_unstable();
        let median = files.get(files.len() / 2).copied().unwrap_or_default();
        let lines: usize = files.iter().sum();
        let _ = writeln!(
            text,
            "{:<12} {:>5} {lines:>6} {median:>6}",
            krate.name,
            files.len()
        );
    }
    text
}

/// The lines of each file of a crate.
fn files(tree: &Tree, krate: &Krate) -> Vec<usize> {
    let own = |source: &&Source| source.krate == krate.name && !source.path.ends_with("/fuzzing.rs");
    tree.of_part(Part::Product).filter(own).map(lines).collect()
}

fn lines(source: &Source) -> usize {
    let of_tests = match &source.syntax {
        Ok(syntax) => of_tests(&syntax.items),
        Err(_) => 0,
    };
    source.text.lines().count() - of_tests
}

/// The lines of items that only tests have.
fn of_tests(items: &[syn::Item]) -> usize {
    let lines = |item: &syn::Item| match item {
        item if !code::is_shipped(item) => item.span().end().line - item.span().start().line + 1,
        syn::Item::Mod(syn::ItemMod {
            content: Some((_, items)),
            ..
        }) => of_tests(items),
        _ => 0,
    };
    items.iter().map(lines).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str, text: &str) -> Tree {
        Tree::default()
            .with_crate(name, &[])
            .with_source(&format!("crates/{name}/src/lib.rs"), text)
    }

    fn whats(tree: &Tree) -> Vec<String> {
        check(tree).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_crate_that_is_too_large_is_found() {
        for (name, most) in [("planner", 7_000), ("services", 300)] {
            assert_eq!(whats(&tree(name, &"\n".repeat(most))), [""; 0]);
            let what = format!("{name} has {} lines without tests, of {most} at most", most + 1);
            assert_eq!(whats(&tree(name, &"\n".repeat(most + 1))), [what]);
        }
        assert_eq!(whats(&tree("lab", &"\n".repeat(7_001))), [""; 0]);
    }

    #[test]
    fn tests_are_not_counted() {
        let text = "fn f() {}\n#[cfg(test)]\nmod t {\n}\nmod b {\n#[test]\nfn g() {\n}\n}\n#[cfg(test)] mod tests;\nmod fuzzing;\n";
        let tree = tree("plan", text)
            .with_source("crates/plan/src/tests.rs", "\n\n")
            .with_source("crates/plan/src/fuzzing.rs", "\n\n")
            .with_source("crates/plan/tests/all.rs", "\n\n");
        assert_eq!(files(&tree, &tree.crates[0]), [4]);
    }
}
