//! Rules about crates as such: their names, their lints, and the playbooks that they embed.

use super::code::{self, Word};
use super::problem::Problem;
use super::tree::{Part, Tree};

/// Where the kinds are.
const KINDS: &str = "crates/kinds/";

/// Finds crates whose folder has another name. The end-to-end tests are the one crate outside crates/.
pub(crate) fn check_names(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for krate in &tree.crates {
        let expected = match krate.name.as_str() {
            "e2e" => "tests".to_owned(),
            name if krate.folder.starts_with(KINDS) => format!("{KINDS}{name}"),
            name => format!("crates/{name}"),
        };
        if krate.folder != expected {
            problems.push(Problem {
                file: krate.manifest(),
                line: tree.line_in(&krate.manifest(), "name"),
                what: format!("the package {} is in {}", krate.name, krate.folder),
                why: "who knows a crate's name knows its folder",
                resolve: format!("move it to {expected}, or name it after its folder"),
            });
        }
    }
    problems
}

/// Finds crates that do without the workspace's lints.
pub(crate) fn check_lints(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for krate in &tree.crates {
        let manifest = krate.manifest();
        let text = tree.texts.get(&manifest).map(String::as_str).unwrap_or_default();
        let shared = text.parse::<toml::Table>().is_ok_and(|table| {
            let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
            lints.and_then(toml::Value::as_bool) == Some(true)
        });
        if !shared {
            problems.push(Problem {
                line: tree.line_in(&manifest, "[lints"),
                file: manifest,
                what: format!("{} does not have the workspace's lints", krate.name),
                why: "one set of lints for all crates",
                resolve: "add to it: [lints] workspace = true".to_owned(),
            });
        }
    }
    problems
}

/// Finds playbooks that no crate embeds.
pub(crate) fn check_playbooks(tree: &Tree) -> Vec<Problem> {
    let mut embedded: Vec<String> = Vec::new();
    for source in tree.of_part(Part::Product) {
        let Ok(syntax) = &source.syntax else { continue };
        let words = code::words(&code::shipped(syntax));
        if words
            .iter()
            .any(|(_, word)| matches!(word, Word::Macro(name) if name == "include_str!"))
        {
            embedded.extend(words.into_iter().filter_map(|(_, word)| match word {
                Word::Text(text) => Some(text),
                _ => None,
            }));
        }
    }
    let mut problems = Vec::new();
    for path in tree.texts.keys().filter(|path| path.starts_with("playbooks/")) {
        if !embedded.iter().any(|text| text.ends_with(&format!("/{path}"))) {
            problems.push(Problem {
                file: path.clone(),
                line: 1,
                what: "no crate embeds this playbook".to_owned(),
                why: "playbooks/ has the built-in playbooks, and each is part of the program",
                resolve: format!("include_str! it in the `playbook` of its kind, or move it out of {path}"),
            });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_another_name_is_found() {
        let mut tree = Tree::default().with_crate("plan", &[]);
        assert_eq!(check_names(&tree), []);
        tree.crates[0].folder = "crates/planning".to_owned();
        tree = tree.with_text("crates/planning/Cargo.toml", "[package]\nname = \"plan\"\n");
        assert_eq!(check_names(&tree)[0].line, 2);
    }

    #[test]
    fn a_crate_without_lints_is_found() {
        let tree = Tree::default().with_crate("plan", &[]);
        assert_eq!(check_lints(&tree), []);
        for text in ["", "[lints]\nworkspace = false\n", "[lints.rust]\n"] {
            let tree = Tree::default()
                .with_crate("plan", &[])
                .with_text("crates/plan/Cargo.toml", text);
            assert_eq!(check_lints(&tree).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_playbook_that_is_not_embedded_is_found() {
        let tree = Tree::default()
            .with_crate("planner", &[])
            .with_source(
                "crates/planner/src/lib.rs",
                "static P: &str = include_str!(\"../../../playbooks/a.toml\");",
            )
            .with_text("playbooks/a.toml", "")
            .with_text("playbooks/b.toml", "");
        let files: Vec<String> = check_playbooks(&tree)
            .into_iter()
            .map(|problem| problem.file)
            .collect();
        assert_eq!(files, ["playbooks/b.toml"]);
    }
}
