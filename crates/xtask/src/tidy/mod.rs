//! `cargo xtask tidy`: the house rules that a program can check, all broken ones told at once.
//!
//! A rule is a function from the whole workspace (read once, see `tree.rs`) to problems; each stands in the file of
//! its subject, with a test that shows it find what it is for. What the rules are for is in docs/architecture.md.

mod circles;
mod code;
mod edges;
mod files;
mod kinds;
mod layers;
mod manifests;
mod map;
mod modules;
mod prints;
mod problem;
mod pure;
mod reach;
mod sizes;
mod tree;

use anyhow::bail;
use clap::Args;

use self::problem::Problem;
use self::tree::{Krate, Source, Tree};
use crate::{cargo, say};

/// Every rule.
const RULES: &[fn(&Tree) -> Vec<Problem>] = &[
    edges::check,
    edges::check_page,
    pure::check_needs,
    pure::check_code,
    prints::check_printing,
    prints::check_ending,
    circles::check,
    layers::check,
    sizes::check,
    kinds::check_registered,
    kinds::check_names,
    files::check_syntax,
    files::check_length,
    files::check_head,
    files::check_allowances,
    files::check_built,
    manifests::check_names,
    manifests::check_lints,
    manifests::check_playbooks,
];

/// What to check or show.
#[derive(Debug, Clone, Args)]
pub(crate) struct TidyArgs {
    /// Show the lines of each crate without tests, and those of its median file, instead
    #[arg(long)]
    sizes: bool,
}

/// Checks all rules on this workspace.
pub(crate) fn run(args: &TidyArgs) -> anyhow::Result<()> {
    let mut tree = Tree::read(&cargo::workspace()?)?;
    reach::mark(&mut tree);
    if args.sizes {
        say(sizes::table(&tree).trim_end());
        return Ok(());
    }
    let mut problems: Vec<Problem> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    problems.sort();
    problems.dedup();
    for problem in &problems {
        say(&format!("{problem}\n"));
    }
    if problems.is_empty() {
        say(&format!(
            "tidy: {} rules hold for {} crates, {} sources",
            RULES.len(),
            tree.crates.len(),
            tree.sources.len()
        ));
        return Ok(());
    }
    bail!("the house rules are broken in {} place(s)", problems.len());
}

/// Whether a crate of ours is part of the product; `None` for those of others.
pub(crate) fn is_shipped(name: &str) -> Option<bool> {
    map::of(name).map(|found| found.nature != map::Nature::Development)
}

impl Problem {
    /// A problem with a source; its line is the first one unless said otherwise.
    fn at(source: &Source) -> Self {
        Self {
            file: source.path.clone(),
            line: 1,
            what: String::new(),
            why: "",
            resolve: String::new(),
        }
    }
}

impl Tree {
    /// The line of a text that begins with a word; the first one where none does.
    fn line_in(&self, path: &str, word: &str) -> usize {
        let text = self.texts.get(path).map(String::as_str).unwrap_or_default();
        let at = text.lines().position(|line| {
            line.strip_prefix(word).is_some_and(|rest| {
                !rest.starts_with(|next: char| next.is_alphanumeric() || "-_".contains(next))
            })
        });
        at.map_or(1, |at| at + 1)
    }

    /// Where a crate's manifest names a dependency.
    fn line_of_need(&self, krate: &Krate, need: &str) -> usize {
        self.line_in(&krate.manifest(), need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_found_in_the_manifest() {
        let text = "[dependencies]\ntokio-util.workspace = true\ntokio = \"1\"\n";
        let tree = Tree::default()
            .with_crate("plan", &[])
            .with_text("crates/plan/Cargo.toml", text);
        let line = |need| tree.line_of_need(&tree.crates[0], need);
        assert_eq!((line("tokio-util"), line("tokio"), line("rand")), (2, 3, 1));
    }
}
