//! The process that a node starts: its gates are waited for no longer once it can no longer come up.
//!
//! A gate asks the service, which only says that nothing answers yet. systemd knows more: a unit that failed, that ended, or
//! that was started twice more by itself is not going to serve, however long its gate may wait.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Facts, Gate, Node};
use protocol::facts::{CommandQuery, UnitQuery};
use protocol::{FactQuery, Query as _};
use types::HostName;

use crate::connections::Connections;
use crate::gather::{Patience, gather_with};

/// How many lines of the journal belong into the failure, and how much of each.
const LINES: usize = 5;
const LINE: usize = 300;

/// A unit that an action started, as it was seen since.
pub(crate) struct Process<'n> {
    host: &'n HostName,
    unit: UnitQuery,
    /// Whether it is a member's, which serves as long as any process of it is left.
    is_member: bool,
    /// The invocations that were seen, the first of them after the action.
    invocations: BTreeSet<String>,
}

/// A process that does not come up any more.
pub(crate) struct Over {
    /// In words.
    pub(crate) how: String,
    /// The last lines of its journal, to be added to a sentence.
    pub(crate) journal: String,
}

impl<'n> Process<'n> {
    /// The process that a node's action starts; `None` where it starts none.
    pub(crate) fn of(node: &'n Node) -> Option<Self> {
        let unit = node.action.as_ref()?.operation.started_unit()?;
        Some(Self {
            host: &node.host,
            unit: UnitQuery::new(unit),
            is_member: !node.disrupts.is_empty(),
            invocations: BTreeSet::new(),
        })
    }

    /// What a gate watches, and the unit with it.
    pub(crate) fn watch_beside(&self, gate: &Gate) -> BTreeMap<HostName, Vec<FactQuery>> {
        let mut watch = gate.watch.clone();
        let queries = watch.entry(self.host.clone()).or_default();
        if !queries.contains(&self.unit.wrap()) {
            queries.push(self.unit.wrap());
        }
        watch
    }

    /// How the process ended, where it does not come up any more, and the end of its journal.
    pub(crate) async fn over(&mut self, facts: &Facts, connections: &Connections) -> Option<Over> {
        let how = self.how(facts)?;
        let journal = self.journal(connections).await;
        Some(Over { how, journal })
    }

    /// Why the process does not come up any more; `None` where it may. One new start is forgiven: a process may meet a
    /// port that is not free yet.
    fn how(&mut self, facts: &Facts) -> Option<String> {
        let unit = facts.get(self.host, &self.unit).ok()?;
        let name = &self.unit.name;
        if unit.has_ended() {
            return Some(format!("{name} is {} on {}", unit.active, self.host));
        }
        // systemd takes a unit of an init script for active when all that the script started has ended.
        if self.is_member && unit.sub == "exited" {
            return Some(format!("no process of {name} is left on {}", self.host));
        }
        self.invocations.insert(unit.invocation.clone());
        (self.invocations.len() > 2).then(|| format!("systemd started {name} on {} twice again", self.host))
    }

    /// The last lines of its journal, with words before them; nothing where they cannot be read.
    async fn journal(&self, connections: &Connections) -> String {
        let unit = format!("--unit={}", self.unit.name);
        let lines = format!("--lines={LINES}");
        let words = [
            "journalctl",
            &unit,
            &lines,
            "--output=cat",
            "--no-pager",
            "--quiet",
        ];
        let query = CommandQuery {
            argv: words.map(str::to_owned).to_vec(),
            limit_ms: 5000,
        };
        let asked = BTreeMap::from([(self.host.clone(), vec![query.wrap()])]);
        let facts = gather_with(connections, asked, Patience::None).await;
        let Ok(said) = facts.get(self.host, &query) else {
            return String::new();
        };
        let lines: Vec<&str> = said
            .stdout
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        let last: Vec<&str> = last
            .iter()
            .map(|line| &line[..line.floor_char_boundary(LINE)])
            .collect();
        match last.as_slice() {
            [] => String::new(),
            last => format!("; its journal ends: {}", last.join(" | ")),
        }
    }
}
