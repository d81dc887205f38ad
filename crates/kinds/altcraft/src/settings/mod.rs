//! The settings of the platform, with the runbook's defaults.

mod accounts;
mod find_uses;
mod main_keys;
mod read;
mod reader_groups;
mod uses;

use std::fmt;
use std::str::FromStr;

use types::{HostName, ServiceName};

use formats::main_json::Wants;
pub(crate) use read::read;
pub(crate) use reader_groups::Groups;
pub(crate) use uses::{Use, Uses};

/// The settings of the platform.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Hosts of the inventory that belong to no platform: each may have been a member of this one.
    pub(crate) others: Vec<HostName>,
    /// All hosts of the inventory.
    pub(crate) known: Vec<HostName>,
    /// Where they are reached.
    pub(crate) addresses: Vec<String>,
    /// The host of the master processes.
    pub(crate) master: HostName,
    /// Where main.json is.
    pub(crate) config: String,
    /// The processes, in the order in which a host starts them.
    pub(crate) processes: [Process; 2],
    /// Where they accept connections.
    pub(crate) rpc_host: String,
    /// The user who logs in to the databases.
    pub(crate) user: String,
    pub(crate) control_db: String,
    pub(crate) file_db: String,
    pub(crate) uses: Uses,
    /// `None` where main.json keeps the groups that it has.
    pub(crate) groups: Option<Groups>,
    /// More keys of main.json, laid over ours.
    pub(crate) main: Wants,
    /// Milliseconds that a process may take to start.
    pub(crate) start_ms: u64,
}

/// One of the two processes that work as a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Process {
    pub(crate) program: Program,
    pub(crate) unit: String,
    pub(crate) port: u16,
    pub(crate) log: String,
}

/// The programs that work as a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Proctask,
    Procworkflow,
}

impl Program {
    pub(crate) const ALL: [Self; 2] = [Self::Proctask, Self::Procworkflow];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proctask => "proctask",
            Self::Procworkflow => "procworkflow",
        }
    }

    /// Its list in `CLUSTER` of main.json.
    pub(crate) fn list(self) -> &'static str {
        match self {
            Self::Proctask => "PROC_TASKS",
            Self::Procworkflow => "PROC_WORKFLOW",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Program {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut programs = Self::ALL.into_iter();
        programs.find(|program| program.name() == name).ok_or(())
    }
}

impl Settings {
    /// Whether a host has the master processes.
    pub(crate) fn is_master(&self, host: &HostName) -> bool {
        self.master == *host
    }

    /// The process of a program.
    pub(crate) fn process(&self, program: Program) -> &Process {
        let [proctask, procworkflow] = &self.processes;
        match program {
            Program::Proctask => proctask,
            Program::Procworkflow => procworkflow,
        }
    }
}

/// Parts of keys whose values are secrets. A value that merely has such a key is not shown, and stays as it is.
pub(crate) const SECRET_WORDS: [&str; 5] = ["PASS", "SECRET", "TOKEN", "_KEY", "CREDENTIAL"];

/// Whether a key's value is a secret, by its name.
fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}
