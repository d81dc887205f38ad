//! Installed packages, as dpkg knows them.
//!
//! `dpkg-query` is asked rather than `/var/lib/dpkg/status` read: what an interrupted dpkg left in its journal beside
//! that file counts too, and one process for all packages takes ten milliseconds.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use protocol::facts::{CandidateFact, CandidateQuery, PackageFact};
use protocol::{Fact, FactError};

use super::answer::{Answer, unknown};
use crate::host::Host;
use crate::process::{Program, argv};
use crate::tail::tail;
use tree::{Found, Place};

/// How long dpkg may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Status, name and version in columns.
const FORMAT: &str = "${db:Status-Abbrev}\t${Package}\t${Version}\n";

/// Answers for all packages.
pub(super) fn observe(host: &Host, names: &[&str]) -> Vec<Answer> {
    match installed(names, Some(host.closing()), Instant::now() + LIMIT) {
        Ok(known) => {
            let fact = |name: &&str| {
                let known = known.get(base(name)).cloned();
                Ok(Fact::Package(known.unwrap_or_default()))
            };
            names.iter().map(fact).collect()
        }
        Err(error) => vec![Err(error); names.len()],
    }
}

/// What dpkg knows of those packages, by their names without architecture.
pub(crate) fn installed(
    names: &[&str],
    stop: Option<&AtomicBool>,
    until: Instant,
) -> Result<HashMap<String, PackageFact>, FactError> {
    if let Some(name) = names.iter().find(|name| !is_package_name(name)) {
        return Err(unknown(format!("{name:?} is not a package name")));
    }
    let words = ["dpkg-query", "--show", "--showformat", FORMAT].into_iter();
    let argv = argv(words.chain(names.iter().copied()));
    let mut program = Program::new(&argv, until);
    program.stop = stop;
    let output = program.run().map_err(unknown)?;
    // 1: some of the packages are not known, which is an answer.
    if output.status > 1 {
        let said = tail(&output.stderr_text(), 5);
        return Err(unknown(format!("dpkg-query: {said}")));
    }
    Ok(parse(&output.stdout_text()))
}

/// The version that apt would install, where somebody needs to know.
pub(super) fn candidate(host: &Host, query: &CandidateQuery) -> Result<CandidateFact, FactError> {
    if !is_package_name(&query.name) {
        return Err(unknown(format!("{:?} is not a package name", query.name)));
    }
    let place = Place::find(Path::new(&query.unless)).map_err(unknown)?;
    let found = place.map(|place| place.look()).transpose().map_err(unknown)?;
    if !matches!(found, None | Some(Found::Absent)) {
        return Ok(CandidateFact { version: None });
    }
    let argv = argv(["apt-cache", "policy", "--", &query.name]);
    let mut program = Program::new(&argv, Instant::now() + LIMIT);
    program.stop = Some(host.closing());
    program.env = &[("LC_ALL", "C.UTF-8")];
    let output = program.run().map_err(unknown)?;
    if output.status != 0 {
        let said = tail(&output.stderr_text(), 5);
        return Err(unknown(format!("apt-cache: {said}")));
    }
    Ok(CandidateFact {
        version: version_of(&output.stdout_text()),
    })
}

/// What `apt-cache policy` says of the candidate.
fn version_of(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let said = lines.find_map(|line| line.trim().strip_prefix("Candidate:"))?;
    let version = said.trim();
    (version != "(none)").then(|| version.to_owned())
}

fn parse(text: &str) -> HashMap<String, PackageFact> {
    let known = text.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (status, name, version) = (columns.next()?, columns.next()?, columns.next()?);
        // Wanted, state, error; a space stands for no error: `ii `, `hi `, but `rc ` and `iHR` are not installed.
        let state = status.get(1..2)?;
        let is_complete = state == "i" && status.get(2..).is_none_or(|error| error.trim().is_empty());
        let fact = PackageFact {
            version: is_complete.then(|| version.to_owned()),
            // Not installed, or removed but for its configuration.
            is_partial: !is_complete && !matches!(state, "n" | "c"),
        };
        Some((name.to_owned(), fact))
    });
    known.collect()
}

/// The name without its architecture.
fn base(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// Debian's rule for names, and an architecture; dpkg-query would take anything else for a pattern or an option.
fn is_package_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_what_is_completely_installed_has_a_version() {
        let text = "ii \tbash\t5.2.15-2+b7\nhi \theld\t1:2.0\nrc \tremoved\t1.0\niHR\tbroken\t1.0\nun \tvirtual\t\n\
                    iF \thalf\t1.0\n";
        let known = parse(text);
        let version = |name: &str| known.get(name).and_then(|fact| fact.version.as_deref());
        assert_eq!(version("bash"), Some("5.2.15-2+b7"));
        assert_eq!(version("held"), Some("1:2.0"));
        assert_eq!(known.values().filter(|fact| fact.version.is_some()).count(), 2);
        let partial = known.iter().filter(|(_, fact)| fact.is_partial);
        let partial: BTreeSet<&str> = partial.map(|(name, _)| name.as_str()).collect();
        assert_eq!(partial, BTreeSet::from(["broken", "half"]));
    }

    #[test]
    fn a_candidate_is_a_version_or_none() {
        let said = "x:\n  Installed: (none)\n  Candidate: 18.16.1+ds-7.4\n  Version table:\n";
        assert_eq!(version_of(said).as_deref(), Some("18.16.1+ds-7.4"));
        assert_eq!(version_of("x:\n  Candidate: (none)\n"), None);
        assert_eq!(version_of(""), None);
    }

    #[test]
    fn apt_is_not_asked_where_the_file_stands() {
        let host = Host::new(crate::host::Options::default());
        let query = |unless: &str| CandidateQuery {
            name: "no-such-package-at-all".to_owned(),
            unless: unless.to_owned(),
        };
        let none = Ok(CandidateFact { version: None });
        assert_eq!(candidate(&host, &query("/etc/passwd")), none);
        assert!(
            candidate(
                &host,
                &CandidateQuery {
                    name: "-x".to_owned(),
                    ..query("/none")
                }
            )
            .is_err()
        );
    }

    #[test]
    fn patterns_and_options_are_no_names() {
        for bad in ["", "bash*", "-W", "a b", "Bash"] {
            assert!(!is_package_name(bad), "{bad}");
        }
        assert!(is_package_name("g++") && is_package_name("libc6:amd64"));
    }

    #[test]
    fn one_call_answers_for_known_and_unknown_packages() {
        let until = Instant::now() + LIMIT;
        let versions = installed(&["dpkg", "no-such-package-at-all"], None, until).unwrap();
        assert_eq!(versions.keys().collect::<Vec<_>>(), ["dpkg"]);
    }
}
