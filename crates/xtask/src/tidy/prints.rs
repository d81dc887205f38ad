//! Rules: report alone prints, and main alone ends the program.

use super::code::{self, Word};
use super::map::{self, Nature};
use super::problem::Problem;
use super::tree::{Part, Source, Tree};

const MACROS: [&str; 5] = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];

const STREAMS: [&str; 2] = ["std::io::stdout", "std::io::stderr"];

const ENDS: [&str; 3] = [
    "std::process::exit",
    "std::process::abort",
    "std::process::ExitCode",
];

/// Other code that may write to the standard streams, and why.
const MAY_PRINT: &[(&str, &str)] = &[
    ("crates/report/", "it is what report is for"),
    (
        "crates/agent/src/bin/",
        "frames go to stdout, and why it could not start to stderr",
    ),
    ("crates/clusterctl/src/main.rs", "it sends traces to stderr"),
];

/// Code that may end the program, and why.
const MAY_END: &[(&str, &str)] = &[
    ("crates/clusterctl/src/main.rs", "it is main"),
    ("crates/clusterctl/src/exit.rs", "it lists the codes"),
    (
        "crates/clusterctl/src/interrupt.rs",
        "the second Ctrl-C ends the program at once",
    ),
    ("crates/agent/src/bin/", "it is main"),
    (
        "crates/agent/src/harden.rs",
        "a panic in any thread ends the agent",
    ),
];

/// Finds whoever else prints.
pub(crate) fn check_printing(tree: &Tree) -> Vec<Problem> {
    let denied = |word: &Word| match word {
        Word::Macro(name) => MACROS.contains(&name.as_str()).then(|| name.clone()),
        Word::Path(path) => STREAMS
            .iter()
            .any(|denied| code::reaches(path, denied))
            .then(|| path.clone()),
        Word::Text(_) => None,
    };
    found(tree, MAY_PRINT, denied, |source, what| Problem {
        what: format!("{} prints: {what}", source.krate),
        why: "report alone prints, and the agent's stdout carries frames only: anything else would tear JSON, \
              progress and frames apart (docs/architecture.md, invariants 5 and 6)",
        resolve: "return it, or make it an event; report shows it. For developers, use tracing".to_owned(),
        ..Problem::at(source)
    })
}

/// Finds whoever else ends the program.
pub(crate) fn check_ending(tree: &Tree) -> Vec<Problem> {
    let denied = |word: &Word| match word {
        Word::Path(path) => ENDS
            .iter()
            .any(|denied| code::reaches(path, denied))
            .then(|| path.clone()),
        Word::Macro(_) | Word::Text(_) => None,
    };
    found(tree, MAY_END, denied, |source, what| Problem {
        what: format!("{} ends the program: {what}", source.krate),
        why: "main alone chooses the exit code: whoever ends the program elsewhere leaves the journal open \
              (docs/architecture.md, invariant 6)",
        resolve: "return an error, and let main give it a code".to_owned(),
        ..Problem::at(source)
    })
}

fn found(
    tree: &Tree,
    exempt: &[(&str, &str)],
    denied: impl Fn(&Word) -> Option<String>,
    problem: impl Fn(&Source, &str) -> Problem,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in tree.of_part(Part::Product) {
        let Ok(syntax) = &source.syntax else { continue };
        if map::nature(&source.krate) == Nature::Development
            || exempt.iter().any(|(place, _)| source.path.starts_with(place))
        {
            continue;
        }
        for (line, word) in code::words(&code::shipped(syntax)) {
            if let Some(what) = denied(&word) {
                problems.push(Problem {
                    line,
                    ..problem(source, &what)
                });
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        let mut tree = Tree::default();
        for name in ["executor", "report", "lab"] {
            tree = tree
                .with_crate(name, &[])
                .with_source(&format!("crates/{name}/src/lib.rs"), text);
        }
        tree
    }

    fn places(problems: Vec<Problem>) -> Vec<(String, usize)> {
        problems
            .into_iter()
            .map(|problem| (problem.file, problem.line))
            .collect()
    }

    #[test]
    fn only_report_prints() {
        let tree = tree(
            "fn f() { println!(); }\nuse std::io;\nfn g() { io::stderr(); }\n\
             #[cfg(test)] mod tests { fn f() { println!(); } }",
        );
        let executor = |line| ("crates/executor/src/lib.rs".to_owned(), line);
        assert_eq!(places(check_printing(&tree)), [executor(1), executor(3)]);
    }

    #[test]
    fn only_main_ends_the_program() {
        let tree = tree("fn f() -> ! {\n std::process::exit(1) }\nfn g(c: std::process::Command) {}");
        let found = places(check_ending(&tree));
        assert_eq!(found[0], ("crates/executor/src/lib.rs".to_owned(), 2));
        assert_eq!(
            found.iter().filter(|(file, _)| file.contains("executor")).count(),
            1
        );
    }
}
