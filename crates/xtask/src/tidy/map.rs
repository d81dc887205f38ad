//! The map of our crates: which may use which. docs/architecture.md shows the same table; a rule compares the two.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What a crate is to the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// The same input gives the same output: nothing else is asked.
    Pure,
    /// Part of the product.
    Real,
    /// Never shipped.
    Development,
}

/// One crate.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Its name, also its folder's.
    pub(crate) name: &'static str,
    /// Which of our crates it may depend on.
    pub(crate) uses: &'static [&'static str],
    /// Which ones its tests may depend on besides, where those do not lie below it.
    pub(crate) tests_use: &'static [&'static str],
    /// What it is to the product.
    pub(crate) nature: Nature,
    /// What it holds.
    pub(crate) holds: &'static str,
}

use Nature::{Development, Pure, Real};

/// Every crate, lowest first.
pub(crate) static MAP: &[Crate] = &[
    one(
        "types",
        &[],
        Pure,
        "names, identifiers, secrets that redact themselves, places in files",
    ),
    one(
        "protocol",
        &["types"],
        Pure,
        "the wire contract of controller and agent, without any I/O",
    ),
    one(
        "plan",
        &["protocol", "types"],
        Pure,
        "step graph, gates, budgets, refusals, events: data and its invariants",
    ),
    one(
        "config",
        &["protocol", "types"],
        Pure,
        "inventory and playbooks, and every error in them with its place",
    ),
    one(
        "formats",
        &["protocol", "types"],
        Pure,
        "file formats of the services, read and edited, without any decision",
    ),
    one(
        "kit",
        &["config", "plan", "protocol", "types"],
        Pure,
        "what every kind is made of: values and functions, nothing that drives a kind",
    ),
    Crate {
        // A step of a kind, in the wrong place.
        tests_use: &["cases", "kvrocks", "rabbitmq"],
        ..one(
            "generic",
            &["config", "kit", "plan", "protocol", "types"],
            Pure,
            "the step kinds that belong to no service",
        )
    },
    Crate {
        // Its inventories have the services that it uses.
        tests_use: &[
            "cases",
            "clickhouse",
            "fakes",
            "kvrocks",
            "mongodb",
            "rabbitmq",
            "ssdb",
        ],
        ..kind(
            "altcraft",
            "the kind altcraft: the application that uses the other services",
        )
    },
    kind(
        "clickhouse",
        "the kind clickhouse: servers and their coordination, ZooKeeper or Keeper",
    ),
    kind(
        "kvrocks",
        "the kind kvrocks: Kvrocks, Redis or Valkey behind Redis Sentinel",
    ),
    kind("mongodb", "the kind mongodb: replica sets"),
    kind("rabbitmq", "the kind rabbitmq: clusters of brokers"),
    kind("ssdb", "the kind ssdb: mirrors"),
    Crate {
        // The built-in playbooks are read as the planner reads them.
        tests_use: &["generic"],
        ..one(
            "services",
            &[
                "altcraft",
                "clickhouse",
                "kit",
                "kvrocks",
                "mongodb",
                "rabbitmq",
                "ssdb",
            ],
            Pure,
            "the registry of kinds",
        )
    },
    Crate {
        // A real kind's nodes, in their order.
        tests_use: &["fakes"],
        ..one(
            "planner",
            &[
                "config", "generic", "kit", "plan", "protocol", "services", "types",
            ],
            Pure,
            "playbooks, hosts and facts become one step graph",
        )
    },
    one(
        "sealing",
        &["protocol", "types"],
        Real,
        "secrets on their way to one agent, sealed to its key pair",
    ),
    one(
        "transport",
        &["protocol", "sealing", "types"],
        Real,
        "byte streams to hosts, and the conversation with the agent at their end",
    ),
    one(
        "ssh",
        &["transport", "types"],
        Real,
        "the way to real hosts; the only user of russh",
    ),
    one(
        "executor",
        &["plan", "protocol", "transport", "types"],
        Real,
        "runs a step graph: limits, budgets, gates, retries, cancellation",
    ),
    one(
        "state",
        &["plan", "types"],
        Real,
        "the journal of runs and its queries",
    ),
    one(
        "report",
        &["plan", "protocol", "types"],
        Real,
        "everything that a person or a machine reads",
    ),
    one(
        "listeners",
        &[],
        Real,
        "the addresses of a host at which something listens on a port",
    ),
    one(
        "secrets",
        &["protocol", "types"],
        Real,
        "the secrets that an agent was handed: put into what it writes, taken out of what it tells",
    ),
    one(
        "tree",
        &["protocol"],
        Real,
        "files and directories of a host, opened without following what others put in the way",
    ),
    one(
        "agent",
        &["listeners", "protocol", "sealing", "secrets", "tree", "types"],
        Real,
        "facts and actions: the only code that touches a host",
    ),
    one(
        "clusterctl",
        &[
            "config",
            "executor",
            "plan",
            "planner",
            "protocol",
            "report",
            "services",
            "ssh",
            "state",
            "transport",
            "types",
        ],
        Real,
        "the command line: reads files, puts the others to work, chooses the exit code",
    ),
    one(
        "fakes",
        &["formats", "protocol", "types"],
        Development,
        "services in memory, as the agents on their hosts would see and change them",
    ),
    one(
        "cases",
        &["config", "kit", "plan", "protocol", "types"],
        Development,
        "what case tests of kinds are written with",
    ),
    one(
        "simulation",
        &[
            "config",
            "executor",
            "fakes",
            "plan",
            "planner",
            "protocol",
            "transport",
            "types",
        ],
        Development,
        "runs on services in memory, in simulated time, from seeds",
    ),
    one(
        "fuzzing",
        &[
            "agent", "config", "formats", "generic", "plan", "planner", "protocol", "report", "ssh", "types",
        ],
        Development,
        "what fuzz targets do with an input, and the replay of kept inputs",
    ),
    one(
        "lab",
        &["types"],
        Development,
        "a cluster of containers, for the demo and the end-to-end tests",
    ),
    one(
        "standins",
        &["types"],
        Development,
        "servers that answer as the real ones do, where the lab cannot have those",
    ),
    one(
        "e2e",
        &["lab", "protocol", "transport", "types"],
        Development,
        "the end-to-end tests (in tests/)",
    ),
    one("xtask", &["lab", "types"], Development, "the project's chores"),
];

const fn one(
    name: &'static str,
    uses: &'static [&'static str],
    nature: Nature,
    holds: &'static str,
) -> Crate {
    Crate {
        name,
        uses,
        tests_use: &[],
        nature,
        holds,
    }
}

/// A kind: all of them may use the same, and none another kind.
const fn kind(name: &'static str, holds: &'static str) -> Crate {
    Crate {
        tests_use: &["cases", "fakes"],
        ..one(
            name,
            &["config", "formats", "kit", "plan", "protocol", "types"],
            Pure,
            holds,
        )
    }
}

/// The crate of that name.
pub(crate) fn of(name: &str) -> Option<&'static Crate> {
    MAP.iter().find(|one| one.name == name)
}

/// What a crate is to the product; one that the map does not know is held to the stricter rules of the product.
pub(crate) fn nature(name: &str) -> Nature {
    of(name).map_or(Real, |found| found.nature)
}

/// All that a crate reaches by its edges and those of the crates that they lead to.
pub(crate) fn below(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open = vec![name];
    while let Some(next) = open.pop() {
        for used in of(next).map(|one| one.uses).unwrap_or_default() {
            if found.insert(*used) {
                open.push(used);
            }
        }
    }
    found
}

/// The table as docs/architecture.md shows it.
pub(crate) fn table() -> String {
    let mut text = String::from("| crate | is | may use | holds |\n|---|---|---|---|\n");
    for one in MAP {
        let nature = match one.nature {
            Pure => "pure",
            Real => "product",
            Development => "development only",
        };
        let uses = if one.uses.is_empty() {
            "-".to_owned()
        } else {
            one.uses.join(", ")
        };
        let _ = writeln!(text, "| {} | {nature} | {uses} | {} |", one.name, one.holds);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_only_go_down() {
        for (at, one) in MAP.iter().enumerate() {
            for used in one.uses {
                assert!(
                    MAP[..at].iter().any(|lower| lower.name == *used),
                    "{} → {used}",
                    one.name
                );
            }
        }
    }

    #[test]
    fn who_plans_and_who_acts_meet_only_in_the_plan() {
        for above in ["services", "kit", "planner", "config"] {
            assert!(!below("executor").contains(above), "executor reaches {above}");
        }
        assert!(!below("report").contains("executor"));
        assert!(below("ssh").contains("protocol"));
    }

    #[test]
    fn what_is_shipped_uses_nothing_that_is_not() {
        for one in MAP.iter().filter(|one| one.nature != Development) {
            for used in below(one.name) {
                assert_ne!(nature(used), Development, "{} → {used}", one.name);
                assert!(
                    one.nature != Pure || nature(used) == Pure,
                    "{} → {used}",
                    one.name
                );
            }
        }
    }
}
