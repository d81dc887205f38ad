//! Rule: pure crates ask for nothing but their input.

use super::code::{self, Word};
use super::map::{self, Nature};
use super::problem::Problem;
use super::tree::{Part, Tree};

const WHY: &str = "pure crates have no runtime, clock, file system, environment, process or chance, so that every \
                   situation is a value that a test can write down (docs/architecture.md, invariant 2)";

/// Other people's crates that bring what pure crates do without. One that ends in `-` or `_` stands for all that
/// begin so.
const CRATES: &[&str] = &[
    "tokio",
    "tokio-",
    "async-",
    "async_",
    "futures",
    "futures-",
    "smol",
    "mio",
    "rayon",
    "crossbeam",
    "jiff",
    "chrono",
    "time",
    "humantime",
    "rand",
    "rand_",
    "getrandom",
    "fastrand",
    "uuid",
    "ulid",
    "rustix",
    "nix",
    "libc",
    "tempfile",
    "walkdir",
    "ignore",
    "glob",
    "notify",
    "dirs",
    "which",
    "duct",
    "russh",
    "russh-",
    "ssh2",
    "redis",
    "redis-",
    "rusqlite",
    "ureq",
    "reqwest",
    "hyper",
    "hyper-",
    "indicatif",
    "console",
    "rpassword",
    "erl_dist",
    "erl_rpc",
];

/// Parts of the standard library that they do without. Maps whose order is another one in each run are among them:
/// a plan that depends on one is another plan each time.
const STD: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::time::UNIX_EPOCH",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::collections::hash_map",
    "std::collections::hash_set",
    "std::hash::RandomState",
];

/// Finds dependencies of pure crates that are not pure.
pub(crate) fn check_needs(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for krate in tree
        .crates
        .iter()
        .filter(|krate| map::nature(&krate.name) == Nature::Pure)
    {
        for need in krate
            .needs
            .iter()
            .filter(|need| !need.for_tests && is_impure(&need.name))
        {
            problems.push(Problem {
                file: krate.manifest(),
                line: tree.line_of_need(krate, &need.name),
                what: format!("{} depends on {}", krate.name, need.name),
                why: WHY,
                resolve: "let clusterctl, the executor or the agent do it, and hand in what comes of it"
                    .to_owned(),
            });
        }
    }
    problems
}

/// Finds what pure crates take from the standard library that is not pure.
pub(crate) fn check_code(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in tree
        .of_part(Part::Product)
        .filter(|source| map::nature(&source.krate) == Nature::Pure)
    {
        let Ok(syntax) = &source.syntax else { continue };
        for (line, word) in code::words(&code::shipped(syntax)) {
            let Word::Path(path) = word else { continue };
            if STD.iter().any(|denied| code::reaches(&path, denied)) {
                problems.push(Problem {
                    file: source.path.clone(),
                    line,
                    what: format!("{} uses {path}", source.krate),
                    why: WHY,
                    resolve:
                        "take what comes of it as an argument; for maps and sets, use BTreeMap and BTreeSet"
                            .to_owned(),
                });
            }
        }
    }
    problems
}

fn is_impure(name: &str) -> bool {
    CRATES
        .iter()
        .any(|denied| name == *denied || denied.ends_with(['-', '_']) && name.starts_with(denied))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Need;
    use super::*;

    #[test]
    fn a_runtime_is_no_dependency_of_a_pure_crate() {
        let needs = [
            Need::foreign("tokio-util", false),
            Need::foreign("jiff", false),
            Need::foreign("tempfile", true),
            Need::foreign("petgraph", false),
        ];
        let tree = Tree::default()
            .with_crate("plan", &needs)
            .with_crate("executor", &needs);
        let whats: Vec<String> = check_needs(&tree)
            .into_iter()
            .map(|problem| problem.what)
            .collect();
        assert_eq!(whats, ["plan depends on tokio-util", "plan depends on jiff"]);
    }

    #[test]
    fn the_clock_and_files_are_found_outside_tests() {
        let text = "use std::time::{Duration, Instant};\n\
                    use std::fs;\n\
                    fn f() { fs::read(1); }\n\
                    fn g() -> std::net::IpAddr { std::env::var(1) }\n\
                    use std::net::*;\n\
                    #[cfg(test)] mod tests { use std::fs::read; }";
        let tree = Tree::default()
            .with_crate("plan", &[])
            .with_source("crates/plan/src/lib.rs", text)
            .with_crate("agent", &[])
            .with_source("crates/agent/src/lib.rs", text);
        let lines: Vec<(String, usize)> = check_code(&tree)
            .into_iter()
            .map(|problem| (problem.file, problem.line))
            .collect();
        let plan = |line| ("crates/plan/src/lib.rs".to_owned(), line);
        assert_eq!(lines, [plan(1), plan(2), plan(3), plan(4), plan(5)]);
    }
}
