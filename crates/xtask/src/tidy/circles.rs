//! Rule: no files of a crate use each other in a circle. What is compiled for tests only does not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::modules::{self, Edges};
use super::problem::Problem;
use super::tree::Tree;

const WHY: &str = "files that use each other in a circle can only be read, tested and moved together";

/// Circles that are still there. An entry has the files of one, or folders (which end in `/`) that they are in. The list
/// only ever becomes shorter.
const KNOWN: &[&[&str]] = &[];

/// Finds circles, and entries of `KNOWN` that are no circles.
pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    check_but(tree, KNOWN)
}

fn check_but(tree: &Tree, known: &[&[&str]]) -> Vec<Problem> {
    let edges = modules::edges(tree);
    let path = |file: usize| tree.sources[file].path.as_str();
    let circles = circles(&edges);
    let mut problems = Vec::new();
    let is_in = |circle: &BTreeSet<usize>, entry: &[&str]| {
        circle.iter().all(|&file| {
            let of =
                |place: &&str| path(file) == *place || place.ends_with('/') && path(file).starts_with(place);
            entry.iter().any(of)
        })
    };
    for circle in &circles {
        if known.iter().any(|entry| is_in(circle, entry)) {
            continue;
        }
        let shortest = shortest(circle, &edges);
        let shown: Vec<String> = shortest
            .iter()
            .zip(shortest.iter().cycle().skip(1))
            .map(|(&from, &to)| format!("{}:{}", path(from), edges[&(from, to)]))
            .collect();
        let others: Vec<&str> = circle
            .iter()
            .filter(|file| !shortest.contains(file))
            .map(|&file| path(file))
            .collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!("; tied to them: {}", others.join(", ")),
        };
        problems.push(Problem {
            line: edges[&(shortest[0], shortest[1])],
            what: format!(
                "files use each other in a circle: {} -> {}{others}",
                shown.join(" -> "),
                path(shortest[0])
            ),
            why: WHY,
            resolve: "move what both sides need into a file below both, or hand it in from above".to_owned(),
            ..Problem::at(&tree.sources[shortest[0]])
        });
    }
    for entry in known {
        if !circles.iter().any(|circle| is_in(circle, entry)) {
            problems.push(Problem {
                file: "crates/xtask/src/tidy/circles.rs".to_owned(),
                line: 1,
                what: format!("KNOWN has a circle that is none: {}", entry.join(", ")),
                why: "the list only ever becomes shorter",
                resolve: "delete the entry".to_owned(),
            });
        }
    }
    problems
}

/// The sets of files that all reach each other.
fn circles(edges: &Edges) -> Vec<BTreeSet<usize>> {
    let mut next: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for &(from, to) in edges.keys() {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<usize, BTreeSet<usize>> = next
        .keys()
        .map(|&from| {
            let mut found = BTreeSet::new();
            let mut open = vec![from];
            while let Some(file) = open.pop() {
                open.extend(
                    next.get(&file)
                        .into_iter()
                        .flatten()
                        .filter(|&&to| found.insert(to)),
                );
            }
            (from, found)
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (&file, found) in &reached {
        if found.contains(&file) {
            let back = |other: &&usize| reached.get(other).is_some_and(|found| found.contains(&file));
            circles.insert(found.iter().filter(back).copied().collect());
        }
    }
    circles.into_iter().collect()
}

/// The files of the shortest way around in a set, in order, from the first file that has one as short.
fn shortest(circle: &BTreeSet<usize>, edges: &Edges) -> Vec<usize> {
    let around = |start: usize| {
        let mut before: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(file) = open.pop_front() {
            let nexts = edges
                .range((file, 0)..=(file, usize::MAX))
                .map(|(&(_, to), _)| to);
            for to in nexts.filter(|to| circle.contains(to)) {
                if to == start {
                    let back = std::iter::successors(Some(file), |at| before.get(at).copied());
                    let mut files: Vec<usize> = back.collect();
                    files.reverse();
                    return files;
                }
                before.entry(to).or_insert_with(|| {
                    open.push_back(to);
                    file
                });
            }
        }
        Vec::new()
    };
    let ways = circle.iter().map(|&start| around(start));
    ways.min_by_key(Vec::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default().with_crate("a", &[]);
        for (path, text) in files {
            tree = tree.with_source(&format!("crates/a/src/{path}"), text);
        }
        tree
    }

    fn planted() -> Tree {
        tree(&[
            ("lib.rs", "mod b;\nmod c;\nmod d;\nmod e;\nfn f() { e::f() }"),
            (
                "b.rs",
                "\nuse super::c::c;\npub fn b() {}\nfn x() { super::d::d() }",
            ),
            ("c.rs", "pub fn c() { super::d::d() }"),
            ("d.rs", "use crate::b;\npub fn d() { b::b() }"),
            ("e.rs", "pub use super::b::b;\npub fn f() {}"),
        ])
    }

    #[test]
    fn a_circle_is_told_once_by_its_shortest_way() {
        let [problem] = check_but(&planted(), &[]).try_into().unwrap();
        assert_eq!(
            problem.what,
            "files use each other in a circle: crates/a/src/b.rs:4 -> crates/a/src/d.rs:2 -> crates/a/src/b.rs; \
             tied to them: crates/a/src/c.rs"
        );
        assert_eq!((problem.file.as_str(), problem.line), ("crates/a/src/b.rs", 4));
    }

    #[test]
    fn a_parent_that_uses_a_child_that_uses_the_parent_is_a_circle() {
        let child = ("b.rs", "pub fn b() { super::own() }");
        let circle = tree(&[("lib.rs", "mod b;\nfn own() {}\nfn f() { b::b() }"), child]);
        assert_eq!(check_but(&circle, &[]).len(), 1);
        let listed = tree(&[("lib.rs", "mod b;\nfn own() {}\npub use b::b;"), child]);
        assert_eq!(check_but(&listed, &[]), []);
    }

    #[test]
    fn a_known_circle_may_stay_but_not_grow() {
        let known: &[&[&str]] = &[&["crates/a/src/b.rs", "crates/a/src/c.rs", "crates/a/src/d.rs"]];
        assert_eq!(check_but(&planted(), known), []);
        assert_eq!(check_but(&planted(), &[&["crates/a/"]]), []);
        let smaller: &[&[&str]] = &[&["crates/a/src/b.rs", "crates/a/src/c.rs"]];
        assert_eq!(check_but(&planted(), smaller).len(), 2);
    }

    #[test]
    fn a_known_circle_that_is_none_must_go() {
        let clean = tree(&[("lib.rs", "mod b;"), ("b.rs", "")]);
        let [problem] = check_but(&clean, &[&["crates/a/src/b.rs"]]).try_into().unwrap();
        assert_eq!(problem.resolve, "delete the entry");
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let text = "#[cfg(test)]\nmod tests { fn f() { super::super::f() } }\npub fn b() {}";
        let tree = tree(&[("lib.rs", "mod b;\nfn f() { b::b() }"), ("b.rs", text)]);
        assert_eq!(check_but(&tree, &[]), []);
    }
}
