//! Rule: every kind has the same rooms, and a file imports only from its own room and from those that data comes from.

use super::modules;
use super::problem::Problem;
use super::tree::{Part, Tree};

const WHY: &str = "data goes one way through a kind, and who knows one kind finds the way in the others \
                   (docs/architecture.md)";

/// A room of a kind, a file or a folder of its `src`, and the rooms that its files may import from.
type Room = (&'static str, &'static [&'static str]);

/// The rooms of a kind in their order. `lib.rs` imports from all of them, and none from it.
const ROOMS: &[Room] = &[
    ("settings", &[]),
    ("observe", &["settings"]),
    ("rules", &["settings", "observe"]),
    ("checks", &["settings", "observe", "rules"]),
    ("steps", &["settings", "observe", "rules", "checks"]),
    ("status", &["settings", "observe", "rules"]),
];

/// The rooms of the generic steps, which have no cluster to reason about.
const GENERIC: &[Room] = &[
    ("arguments", &[]),
    ("on_host", &["arguments"]),
    ("files", &["on_host"]),
    ("resolution", &["files"]),
    ("checks", &[]),
    ("steps", &["arguments", "on_host", "files", "checks"]),
];

/// Finds files of kinds that stand outside of the rooms or import against the order.
pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in tree.of_part(Part::Product) {
        let Some((kind, own)) = room(&source.path) else {
            continue;
        };
        if own != "lib" && may_use(kind, own).is_none() {
            let names: Vec<&str> = rooms(kind).iter().map(|(name, _)| *name).collect();
            let problem = Problem {
                what: format!("{kind} has no room {own}"),
                why: WHY,
                resolve: format!("move it into one of: {}", names.join(", ")),
                ..Problem::at(source)
            };
            problems.push(problem);
        }
    }
    for ((from, to), line) in modules::edges(tree) {
        let [from, to] = [from, to].map(|at| &tree.sources[at]);
        let (Some((kind, own)), Some((_, used))) = (room(&from.path), room(&to.path)) else {
            continue;
        };
        let Some(allowed) = may_use(kind, own) else {
            continue;
        };
        if own != used && !allowed.contains(&used) {
            let problem = Problem {
                line,
                what: format!("{own} of {kind} imports from {}", to.path),
                why: WHY,
                resolve: format!(
                    "import only from {own} and the rooms before it ({}): move there what both need",
                    allowed.join(", ")
                ),
                ..Problem::at(from)
            };
            problems.push(problem);
        }
    }
    problems
}

/// The kind and the room that a source is in.
fn room(path: &str) -> Option<(&str, &str)> {
    let (kind, rest) = path.strip_prefix("crates/kinds/")?.split_once("/src/")?;
    let first = rest.split('/').next()?;
    Some((kind, first.strip_suffix(".rs").unwrap_or(first)))
}

fn rooms(kind: &str) -> &'static [Room] {
    if kind == "generic" { GENERIC } else { ROOMS }
}

/// The rooms that files of a room may import from; none where a kind has no such room, or where it may use all.
fn may_use(kind: &str, room: &str) -> Option<&'static [&'static str]> {
    let found = rooms(kind).iter().find(|(name, _)| *name == room)?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Krate, Root};
    use super::*;

    /// A kind with what its lib.rs declares, and more files.
    fn kind(name: &str, files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        let folder = format!("crates/kinds/{name}");
        tree.crates.push(Krate {
            name: name.to_owned(),
            roots: vec![Root {
                path: format!("{folder}/src/lib.rs"),
                test: false,
            }],
            needs: Vec::new(),
            folder: folder.clone(),
        });
        for (path, text) in files {
            tree = tree.with_source(&format!("{folder}/src/{path}"), text);
        }
        tree
    }

    fn whats(tree: &Tree) -> Vec<String> {
        check(tree).into_iter().map(|problem| problem.what).collect()
    }

    const LIB: &str = "mod settings; mod observe; mod rules; mod checks; mod steps; mod status;\n\
                       #[cfg(test)] mod tests;\nfn f() { steps::join::plan(status::status) }";

    /// A kind that is as it should be, and one import more in one of its files.
    fn store(at: &str, import: &str) -> Tree {
        let files = [
            ("lib.rs", LIB),
            ("settings.rs", "pub struct Settings;"),
            ("observe/mod.rs", "pub mod view;\npub use view::View;"),
            (
                "observe/view.rs",
                "use crate::settings::Settings;\npub struct View(Settings);",
            ),
            ("rules/mod.rs", "pub mod roles;"),
            (
                "rules/roles.rs",
                "use crate::observe::View;\npub fn roles(v: View) {}",
            ),
            (
                "checks.rs",
                "use crate::{rules::roles, observe::View};\npub fn judge(v: View) { roles::roles(v) }",
            ),
            ("steps/mod.rs", "pub mod join;"),
            (
                "steps/join.rs",
                "use crate::checks;\npub fn plan(s: S) { checks::judge() }",
            ),
            (
                "status.rs",
                "use crate::observe::View;\npub fn status(v: View) {}",
            ),
            (
                "tests.rs",
                "use crate::steps;\nfn f() { steps::join::plan(crate::f) }",
            ),
        ];
        let with = |(path, text): (&'static str, &str)| {
            (
                path,
                if path == at {
                    format!("{text}\n{import}")
                } else {
                    text.to_owned()
                },
            )
        };
        let files: Vec<(&str, String)> = files.into_iter().map(with).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        kind("store", &files)
    }

    #[test]
    fn a_kind_with_the_rooms_in_their_order_is_right() {
        assert_eq!(whats(&store("", "")), [""; 0]);
        assert_eq!(whats(&Tree::default()), [""; 0]);
    }

    #[test]
    fn an_import_against_the_order_is_found() {
        for (at, import, what) in [
            (
                "settings.rs",
                "use crate::observe::View;",
                "settings of store imports from crates/kinds/store/src/observe/view.rs",
            ),
            (
                "rules/roles.rs",
                "fn g() { crate::checks::judge() }",
                "rules of store imports from crates/kinds/store/src/checks.rs",
            ),
            (
                "status.rs",
                "use crate::steps::join::plan;",
                "status of store imports from crates/kinds/store/src/steps/join.rs",
            ),
            (
                "steps/join.rs",
                "use crate::f;",
                "steps of store imports from crates/kinds/store/src/lib.rs",
            ),
        ] {
            assert_eq!(whats(&store(at, import)), [what]);
        }
    }

    #[test]
    fn a_file_outside_of_the_rooms_is_found() {
        let tree = store("lib.rs", "mod health;").with_source("crates/kinds/store/src/health.rs", "");
        assert_eq!(whats(&tree), ["store has no room health"]);
    }

    #[test]
    fn generic_steps_have_rooms_of_their_own() {
        let files = [
            ("lib.rs", "mod files; mod steps;"),
            ("files.rs", "use crate::steps::step;"),
            ("steps.rs", "pub fn step() {}"),
        ];
        let what = "files of generic imports from crates/kinds/generic/src/steps.rs";
        assert_eq!(whats(&kind("generic", &files)), [what]);
    }
}
