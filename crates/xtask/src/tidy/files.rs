//! Rules about single sources: their size, their first line, lints, and whether anything is built of them.

use super::code;
use super::problem::Problem;
use super::tree::{Part, Tree};

const MOST_LINES: usize = 600;

/// Finds sources that cannot be read as Rust.
pub(crate) fn check_syntax(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &tree.sources {
        if let Err(error) = &source.syntax {
            problems.push(Problem {
                line: error.span().start().line,
                what: error.to_string(),
                why: "the other rules cannot look into it",
                resolve: "let it compile first".to_owned(),
                ..Problem::at(source)
            });
        }
    }
    problems
}

/// Finds sources that are too long.
pub(crate) fn check_length(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &tree.sources {
        let lines = source.text.lines().count();
        if lines > MOST_LINES {
            problems.push(Problem {
                line: MOST_LINES + 1,
                what: format!("{lines} lines, of {MOST_LINES} at most"),
                why: "a file that cannot be read at one sitting has more than one subject",
                resolve: "give each subject a module of its own".to_owned(),
                ..Problem::at(source)
            });
        }
    }
    problems
}

/// Finds sources that do not say what they are.
pub(crate) fn check_head(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &tree.sources {
        if !source.text.starts_with("//!") {
            problems.push(Problem {
                what: "the file does not begin with //!".to_owned(),
                why: "the first line of a file tells what it is for",
                resolve: "begin it with a sentence: //! What it is, and why".to_owned(),
                ..Problem::at(source)
            });
        }
    }
    problems
}

/// Finds lints that are allowed.
pub(crate) fn check_allowances(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &tree.sources {
        let Ok(syntax) = &source.syntax else { continue };
        for line in code::allowances(syntax) {
            problems.push(Problem {
                line,
                what: "a lint is allowed".to_owned(),
                why: "an allowance stays when its cause is gone; an expectation tells",
                resolve: "mend the cause, or write #[expect(LINT, reason = \"...\")]".to_owned(),
                ..Problem::at(source)
            });
        }
    }
    problems
}

/// Finds sources that nothing is built of.
pub(crate) fn check_built(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in tree.of_part(Part::Nothing) {
        problems.push(Problem {
            what: "nothing is built of this file".to_owned(),
            why: "a test that is not compiled in passes for ever",
            resolve: "name it with `mod` in its parent, or as a target in Cargo.toml; or delete it"
                .to_owned(),
            ..Problem::at(source)
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::default()
            .with_crate("plan", &[])
            .with_source("crates/plan/src/lib.rs", text)
    }

    fn lines(problems: Vec<Problem>) -> Vec<usize> {
        problems.into_iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn what_is_no_rust_is_told_with_its_place() {
        assert_eq!(lines(check_syntax(&tree("fn f() {}\nfn {}\n"))), [2]);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(check_length(&tree(&"\n".repeat(600))), []);
        assert_eq!(lines(check_length(&tree(&"\n".repeat(601)))), [601]);
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(check_head(&tree("//! A.\n")), []);
        assert_eq!(lines(check_head(&tree("\n//! A.\n"))), [1]);
    }

    #[test]
    fn an_allowance_is_found() {
        assert_eq!(
            lines(check_allowances(&tree("\n#[allow(dead_code)]\nfn f() {}"))),
            [2]
        );
    }

    #[test]
    fn a_file_that_nothing_is_built_of_is_found() {
        let tree = tree("mod a;")
            .with_source("crates/plan/src/a.rs", "")
            .with_source("crates/plan/tests/forgotten/case.rs", "");
        let files: Vec<String> = check_built(&tree)
            .into_iter()
            .map(|problem| problem.file)
            .collect();
        assert_eq!(files, ["crates/plan/tests/forgotten/case.rs"]);
    }
}
