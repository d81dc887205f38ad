//! What the facts say of each host: its main.json, and its two processes.

use plan::{Facts, Unknown};
use protocol::Text;
use protocol::facts::{FileFact, LogFact, Obstacle, TcpFact, UnitFact};
use serde_json::Value;
use types::HostName;

use super::blocks;
use super::line::{self, Start};
use super::queries;
use super::settings::{Process, Settings};
use formats::main_json::{self, MergeError};
use kit::is_reached_by_none;

/// All hosts.
pub(super) struct View<'a> {
    pub(super) settings: &'a Settings,
    pub(super) nodes: Vec<Node<'a>>,
    /// Other hosts of the inventory.
    others: Vec<Node<'a>>,
}

/// A host.
pub(super) struct Node<'a> {
    pub(super) host: &'a HostName,
    /// Why it cannot be reached.
    pub(super) unreachable: Option<&'a str>,
    pub(super) file: Result<&'a FileFact, Unknown>,
    /// Whether some of the other hosts do not reach its process, and none does.
    is_cut_off: bool,
    pub(super) runs: Vec<Run<'a>>,
}

/// A process of a host.
pub(super) struct Run<'a> {
    pub(super) process: &'a Process,
    pub(super) unit: Result<&'a UnitFact, Unknown>,
    /// Why the RPC port is not open; `None` where it is.
    pub(super) closed: Option<String>,
    /// What the running process said when it started; `None` where that is not in the log (any more).
    pub(super) start: Option<Start>,
    /// The latest complaint in the log.
    pub(super) complaint: Option<String>,
}

/// Why a host's main.json cannot be dealt with.
pub(super) enum FileTrouble {
    Unknown(Unknown),
    Absent,
    /// No text.
    Odd(&'static str),
    /// No file.
    Obstacle(Obstacle),
    Merge(MergeError),
}

impl<'a> View<'a> {
    pub(super) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let nodes = |hosts: &'a [HostName]| {
            hosts
                .iter()
                .map(|host| Node::new(settings, host, facts))
                .collect()
        };
        Self {
            settings,
            nodes: nodes(&settings.hosts),
            others: nodes(&settings.others),
        }
    }

    /// Hosts that were of this platform and are not any more: a process runs there, or would after a boot, and there is
    /// something that shows that it was of this one.
    pub(super) fn formers(&self) -> impl Iterator<Item = &Node<'a>> {
        let mut others = self.others.iter().filter(|other| other.may_run());
        std::iter::from_fn(move || others.find(|other| self.was_ours(other)))
    }

    /// Hosts on which a process runs as master, and nothing shows of which platform.
    pub(super) fn foreign_masters(&self) -> impl Iterator<Item = &Node<'a>> {
        let is_master = |other: &&Node<'_>| {
            let mut runs = other.runs.iter().filter(|run| run.is_active());
            runs.any(|run| {
                let start = run.start.as_ref();
                start.is_some_and(|start| start.is_master && start.host_id == other.host.as_str())
            })
        };
        let others = self.others.iter().filter(is_master);
        others.filter(|other| !self.was_ours(other))
    }

    /// One of the two, its main.json or a member's, names the other; or it uses the databases that are ours.
    fn was_ours(&self, other: &Node<'_>) -> bool {
        let is_host = |named: &String| self.settings.hosts.iter().any(|host| host.as_str() == named);
        let is_named = |member: &Node<'_>| {
            let mut named = member.named_hosts().into_iter();
            named.any(|named| named == other.host.as_str())
        };
        other.named_hosts().iter().any(is_host)
            || self.nodes.iter().any(is_named)
            || other
                .said()
                .is_some_and(|said| blocks::uses_same(self.settings, &said))
    }

    /// Members and former members.
    pub(super) fn all(&self) -> impl Iterator<Item = &Node<'a>> {
        self.nodes.iter().chain(self.formers())
    }

    /// Another host of the inventory that was looked at.
    pub(super) fn seen_other(&self, host: &str) -> Option<&Node<'a>> {
        let mut seen = self.others.iter().filter(|other| other.unreachable.is_none());
        seen.find(|other| other.host.as_str() == host && other.runs.iter().all(|run| run.unit.is_ok()))
    }

    pub(super) fn node(&self, host: &HostName) -> Option<&Node<'a>> {
        self.nodes.iter().find(|node| node.host == host)
    }
}

impl<'a> Node<'a> {
    pub(super) fn new(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        Self {
            host,
            unreachable: facts.unreachable(host),
            file: facts.get(host, &queries::config(settings)),
            is_cut_off: is_cut_off(settings, host, facts),
            runs: settings
                .processes
                .iter()
                .map(|process| Run::new(process, host, facts))
                .collect(),
        }
    }

    /// main.json as it stands, and as it should be.
    pub(super) fn texts(&self, settings: &Settings) -> Result<(&'a Text, Text), FileTrouble> {
        let text = self.text()?;
        let merged = main_json::merge(text.as_str(), &blocks::wants(settings, self.host));
        merged
            .map(|merged| (text, Text::new(merged)))
            .map_err(FileTrouble::Merge)
    }

    fn text(&self) -> Result<&'a Text, FileTrouble> {
        let fact = self
            .file
            .as_ref()
            .map_err(|unknown| FileTrouble::Unknown(unknown.clone()))?;
        let meta = fact.meta().ok_or(FileTrouble::Absent)?;
        match (meta.obstacle(), &meta.text) {
            (Some(obstacle), _) => Err(FileTrouble::Obstacle(obstacle)),
            (None, Some(text)) => Ok(text),
            (None, None) => Err(FileTrouble::Odd("it is not text in UTF-8")),
        }
    }

    /// What main.json says now.
    pub(super) fn said(&self) -> Option<Value> {
        main_json::parse(self.text().ok()?.as_str()).ok()
    }

    /// The hosts that this host's main.json names as masters of a process.
    pub(super) fn named_masters(&self, process: &Process) -> Vec<String> {
        let said = self.said().unwrap_or_default();
        let list = said.get("CLUSTER").and_then(|cluster| cluster.get(process.key));
        let members = list
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let masters = members
            .iter()
            .filter(|member| member.get("FORCE_MASTER_ROLE") == Some(&Value::Bool(true)));
        let names = masters.filter_map(|member| member.get("HOST_ID")?.as_str().map(str::to_owned));
        names.collect()
    }

    /// The hosts that this host's main.json names in its cluster.
    fn named_hosts(&self) -> Vec<String> {
        let said = self.said().unwrap_or_default();
        let lists = self.runs.iter().filter_map(|run| {
            let cluster = said.get("CLUSTER")?;
            cluster.get(run.process.key)?.as_array()
        });
        let names = lists
            .flatten()
            .filter_map(|member| member.get("HOST_ID")?.as_str().map(str::to_owned));
        names.collect()
    }

    /// Whether a process runs, or will where somebody starts the host.
    pub(super) fn may_run(&self) -> bool {
        let is_on = |run: &Run<'_>| {
            run.unit
                .as_ref()
                .is_ok_and(|unit| unit.is_active() || unit.is_enabled())
        };
        self.unreachable.is_some() || self.runs.iter().any(is_on)
    }

    /// Whether its main.json makes it the master of a process.
    pub(super) fn names_itself_master(&self) -> bool {
        let mut runs = self.runs.iter();
        runs.any(|run| {
            self.named_masters(run.process)
                .iter()
                .any(|named| named == self.host.as_str())
        })
    }

    /// Whether main.json is newer than a process.
    ///
    /// The kernel stamps files with a clock that ticks (up to 10 ms), and a process with an exact one: a file that
    /// was written just after a start can bear an earlier time.
    pub(super) fn is_newer_than(&self, run: &Run<'_>) -> bool {
        const TICK_US: i64 = 10_000;
        match (&self.file, &run.unit) {
            (Ok(FileFact::Present(meta)), Ok(unit)) => {
                unit.started_us > 0 && meta.modified_us.saturating_add(TICK_US) > unit.started_us
            }
            _ => false,
        }
    }

    /// Whether it serves and other hosts reach it. Whether they should is told by its own port: with another one it
    /// cannot be told.
    pub(super) fn is_available(&self) -> bool {
        let is_open = self.runs.first().is_some_and(|run| run.closed.is_none());
        self.serves() && !(is_open && self.is_cut_off)
    }

    /// Whether both processes serve.
    pub(super) fn serves(&self) -> bool {
        self.unreachable.is_none() && self.runs.iter().all(|run| run.is_active() && run.is_open())
    }
}

fn is_cut_off(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    let peers = settings.hosts.iter().filter(|peer| *peer != host);
    let is_local = matches!(settings.rpc_host.as_str(), "127.0.0.1" | "::1" | "localhost");
    !is_local && is_reached_by_none(facts, &queries::reach(settings, host), peers)
}

impl<'a> Run<'a> {
    fn new(process: &'a Process, host: &HostName, facts: &'a Facts) -> Self {
        let unit = facts.get(host, &queries::unit(process));
        let closed = match facts.get(host, &queries::port(process, host)) {
            Ok(TcpFact::Open) => None,
            Ok(TcpFact::Closed(why)) => Some(why.clone()),
            Err(unknown) => Some(unknown.to_string()),
        };
        let lines = match facts.get(host, &queries::log(process)) {
            Ok(LogFact::Lines(lines)) => lines.as_slice(),
            Ok(LogFact::Absent) | Err(_) => &[],
        };
        let last = |at: usize| lines.get(at).map(Vec::as_slice).unwrap_or_default().iter().rev();
        let pid = unit.as_ref().map_or(0, |unit| unit.main_pid);
        let mut starts = last(0).filter_map(|line| line::start(line.as_str()));
        Self {
            process,
            start: starts.find(|start| pid != 0 && start.pid == pid),
            complaint: last(1).find_map(|line| line::complaint(line.as_str())),
            unit,
            closed,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    /// Whether its port is open. One that was started with another port is open there, as far as can be told.
    pub(super) fn is_open(&self) -> bool {
        let told = self.start.as_ref().and_then(|start| start.port);
        self.closed.is_none() || told.is_some_and(|port| port != self.process.port)
    }

    /// Whether it runs as master, as far as it says.
    pub(super) fn says_master(&self) -> Option<bool> {
        self.start
            .as_ref()
            .filter(|_| self.is_active())
            .map(|start| start.is_master)
    }
}
