//! Rule: our crates use each other as the map says, and no others use russh.

use super::map;
use super::problem::Problem;
use super::tree::{ARCHITECTURE, Krate, Tree};

const WHY: &str = "an import only ever goes down the map of docs/architecture.md (invariant 1)";
/// Where the map is.
const MAP_FILE: &str = "crates/xtask/src/tidy/map.rs";
/// Where the kinds are.
const KINDS: &str = "crates/kinds/";
/// The crate that lists them, and so uses each.
const REGISTRY: &str = "services";

/// Finds edges and crates that the map does not have, and a map that people are shown another way.
pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for krate in &tree.crates {
        match map::of(&krate.name) {
            Some(known) => problems.extend(edges(tree, krate, known)),
            None => problems.push(Problem {
                file: krate.manifest(),
                line: 1,
                what: format!("the map does not have the crate {}", krate.name),
                why: WHY,
                resolve: format!(
                    "give it its place in MAP ({MAP_FILE}), above all that use it, and in {ARCHITECTURE}"
                ),
            }),
        }
        problems.extend(russh(tree, krate));
    }
    problems
}

/// Finds differences between the map and what docs/architecture.md shows.
pub(crate) fn check_page(tree: &Tree) -> Vec<Problem> {
    let page = tree
        .texts
        .get(ARCHITECTURE)
        .map(String::as_str)
        .unwrap_or_default();
    let table = map::table();
    if page.contains(&table) {
        return Vec::new();
    }
    let head = table.lines().next().unwrap_or_default();
    let start = page.lines().position(|line| line == head);
    let shown = page.lines().skip(start.unwrap_or_default());
    let differing = table.lines().zip(shown).position(|(ours, shown)| ours != shown);
    let at = differing.unwrap_or_default();
    vec![Problem {
        file: ARCHITECTURE.to_owned(),
        line: start.map_or(1, |start| start + at + 1),
        what: "the page shows another map than the one that is checked".to_owned(),
        why: "what people read must be what the program checks",
        resolve: match (start, differing) {
            (Some(_), Some(at)) => {
                format!(
                    "this line should be: {}",
                    table.lines().nth(at).unwrap_or_default()
                )
            }
            _ => format!("the page should have this table:\n{table}"),
        },
    }]
}

fn edges(tree: &Tree, krate: &Krate, known: &map::Crate) -> Vec<Problem> {
    let below = map::below(&krate.name);
    let mut problems = Vec::new();
    for need in krate.needs.iter().filter(|need| need.own) {
        let name = need.name.as_str();
        // Tests may reach deeper, but not sideways or up.
        let for_tests = || below.contains(name) || known.tests_use.contains(&name);
        if known.uses.contains(&name) || need.for_tests && for_tests() {
            continue;
        }
        let among = if need.for_tests {
            "its tests use"
        } else {
            "it uses"
        };
        problems.push(Problem {
            file: krate.manifest(),
            line: tree.line_of_need(krate, name),
            what: format!("{}: {among} {name}, which the map does not let it", krate.name),
            why: WHY,
            resolve: if is_new_kind(tree, krate, name) {
                format!("add {name} to what {REGISTRY} uses in MAP ({MAP_FILE}) and in {ARCHITECTURE}")
            } else {
                format!(
                    "let what both need stand in a crate below both ({}), or hand it in from above; where the map is \
                     wrong, change it in {MAP_FILE} and {ARCHITECTURE}, and say why in docs/adr/",
                    known.uses.join(", ")
                )
            },
        });
    }
    problems
}

/// Whether the registry uses a kind.
fn is_new_kind(tree: &Tree, krate: &Krate, used: &str) -> bool {
    let folder = format!("{KINDS}{used}");
    krate.name == REGISTRY && tree.crates.iter().any(|kind| kind.folder == folder)
}

fn russh(tree: &Tree, krate: &Krate) -> Vec<Problem> {
    let mut problems = Vec::new();
    for need in &krate.needs {
        if need.name.starts_with("russh") && krate.name != "ssh" {
            problems.push(Problem {
                file: krate.manifest(),
                line: tree.line_of_need(krate, &need.name),
                what: format!("{} uses {}", krate.name, need.name),
                why: "ssh is the only user of russh, so that how hosts are reached can change in one place",
                resolve: "use the trait of crates/transport, or add what is missing to crates/ssh".to_owned(),
            });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::tree::Need;
    use super::*;

    fn whats(tree: &Tree) -> Vec<String> {
        check(tree).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn an_edge_that_goes_up_is_found_for_tests_too() {
        let tree = Tree::default().with_crate(
            "executor",
            &[
                Need::own("services", false),
                Need::own("planner", true),
                Need::own("plan", false),
            ],
        );
        assert_eq!(
            whats(&tree),
            [
                "executor: it uses services, which the map does not let it",
                "executor: its tests use planner, which the map does not let it"
            ]
        );
    }

    #[test]
    fn a_kind_that_the_registry_uses_is_for_the_map() {
        let tree = Tree::default()
            .with_crate("kinds/store", &[])
            .with_crate("services", &[Need::own("store", false)]);
        let problems = check(&tree);
        let of_registry = problems
            .iter()
            .find(|problem| problem.file == "crates/services/Cargo.toml");
        let resolve = &of_registry.expect("a problem").resolve;
        assert!(
            resolve.starts_with("add store to what services uses in MAP"),
            "{resolve}"
        );
    }

    #[test]
    fn tests_may_reach_deeper() {
        let tree = Tree::default().with_crate("state", &[Need::own("protocol", true)]);
        assert_eq!(check(&tree), []);
        let tree = Tree::default().with_crate("state", &[Need::own("protocol", false)]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn a_crate_must_be_in_the_map() {
        let tree = Tree::default().with_crate("utils", &[]);
        assert_eq!(whats(&tree), ["the map does not have the crate utils"]);
    }

    #[test]
    fn russh_is_for_one_crate() {
        let tree = Tree::default()
            .with_crate("executor", &[Need::foreign("russh", true)])
            .with_crate("ssh", &[Need::foreign("russh", false)]);
        assert_eq!(whats(&tree), ["executor uses russh"]);
    }

    #[test]
    fn the_page_shows_the_map() {
        let table = map::table();
        let tree = Tree::default().with_text(ARCHITECTURE, &format!("# A\n\n{table}\nmore"));
        assert_eq!(check_page(&tree), []);
        let wrong = table.replace("| types | pure | - |", "| types | pure | plan |");
        let tree = Tree::default().with_text(ARCHITECTURE, &format!("# A\n\n{wrong}"));
        let [problem] = check_page(&tree).try_into().unwrap();
        assert_eq!(problem.line, 5);
        assert!(
            problem.resolve.contains("| types | pure | - |"),
            "{}",
            problem.resolve
        );
        assert_eq!(check_page(&Tree::default()).len(), 1);
    }
}
