//! A host: its main.json, and its two processes.

use plan::{Facts, Unknown};
use protocol::Text;
use protocol::facts::{FileFact, Obstacle};
use serde_json::Value;
use types::HostName;

use super::queries;
use super::run::Run;
use crate::settings::{Program, Settings};
use formats::main_json::{self, MergeError};
use kit::{Freshness, Newer, is_reached_by_none};

/// A host of the platform, or one that may have been.
pub(crate) struct Member<'a> {
    pub(crate) host: &'a HostName,
    /// Why it cannot be reached.
    pub(crate) unreachable: Option<&'a str>,
    pub(crate) file: Result<&'a FileFact, Unknown>,
    /// Its main.json; `None` where it is no JSON that can be read.
    pub(crate) json: Option<Value>,
    /// Whether some of the other hosts tried to reach its process, and none does.
    is_cut_off: bool,
    pub(crate) runs: [Run<'a>; 2],
}

/// Why a host's main.json cannot be changed.
pub(crate) enum FileTrouble {
    Unknown(Unknown),
    Absent,
    /// It is not text.
    NoText,
    /// It is not a file.
    Obstacle(Obstacle),
    Merge(MergeError),
}

impl<'a> Member<'a> {
    pub(super) fn observe(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let [proctask, procworkflow] = &settings.processes;
        let mut member = Self {
            host,
            unreachable: facts.unreachable(host),
            file: facts.get(host, &queries::config(settings)),
            json: None,
            is_cut_off: is_cut_off(settings, host, facts),
            runs: [
                Run::observe(proctask, host, facts),
                Run::observe(procworkflow, host, facts),
            ],
        };
        let text = member.text().ok();
        member.json = text.and_then(|text| main_json::parse(text.as_str()).ok());
        member
    }

    /// Its main.json.
    pub(crate) fn text(&self) -> Result<&'a Text, FileTrouble> {
        let fact = self.file.as_ref();
        let fact = fact.map_err(|unknown| FileTrouble::Unknown(unknown.clone()))?;
        let meta = fact.meta().ok_or(FileTrouble::Absent)?;
        match (meta.obstacle(), &meta.text) {
            (Some(obstacle), _) => Err(FileTrouble::Obstacle(obstacle)),
            (None, Some(text)) => Ok(text),
            (None, None) => Err(FileTrouble::NoText),
        }
    }

    /// The process of a program.
    pub(crate) fn run(&self, program: Program) -> &Run<'a> {
        let [proctask, procworkflow] = &self.runs;
        match program {
            Program::Proctask => proctask,
            Program::Procworkflow => procworkflow,
        }
    }

    /// The members of a program's cluster, as its main.json lists them.
    fn cluster(&self, program: Program) -> impl Iterator<Item = (&str, &Value)> {
        let list = self
            .json
            .as_ref()
            .and_then(|json| json.get("CLUSTER")?.get(program.list()));
        let members = list.and_then(Value::as_array).into_iter().flatten();
        members.filter_map(|member| Some((member.get("HOST_ID")?.as_str()?, member)))
    }

    /// The hosts that its main.json makes masters of a program.
    pub(crate) fn named_masters(&self, program: Program) -> Vec<&str> {
        let is_master = |member: &Value| member.get("FORCE_MASTER_ROLE") == Some(&Value::Bool(true));
        let masters = self.cluster(program).filter(|(_, member)| is_master(member));
        masters.map(|(host, _)| host).collect()
    }

    /// Whether its main.json names a host in a cluster.
    pub(crate) fn names(&self, host: &HostName) -> bool {
        let mut named = Program::ALL.into_iter().flat_map(|program| self.cluster(program));
        named.any(|(named, _)| named == host.as_str())
    }

    /// Whether its main.json makes it the master of a program.
    pub(crate) fn names_itself_master(&self, program: Program) -> bool {
        self.named_masters(program).contains(&self.host.as_str())
    }

    /// Whether a process runs, or will once the host boots.
    pub(crate) fn may_run(&self) -> bool {
        self.unreachable.is_some() || self.runs.iter().any(Run::is_active_or_enabled)
    }

    /// Why main.json counts as newer than a process; `None` where it does not.
    pub(crate) fn newer_than(&self, settings: &Settings, run: &Run<'_>) -> Option<Newer> {
        let (file, unit) = (self.file.as_ref().ok()?, run.unit.as_ref().ok()?);
        Freshness::of(&settings.config, file, unit).newer()
    }

    /// Whether it serves and other hosts reach it. Whether they should is known by its own port only.
    pub(crate) fn is_available(&self) -> bool {
        let [proctask, _] = &self.runs;
        self.serves() && !(proctask.port.is_up() && self.is_cut_off)
    }

    /// Whether both processes run with open ports.
    pub(crate) fn serves(&self) -> bool {
        self.unreachable.is_none() && self.runs.iter().all(|run| run.is_active() && run.is_open())
    }
}

impl kit::Member for Member<'_> {
    fn host(&self) -> &HostName {
        self.host
    }
}

fn is_cut_off(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    let peers = settings.hosts.iter().filter(|peer| *peer != host);
    let is_local = matches!(settings.rpc_host.as_str(), "127.0.0.1" | "::1" | "localhost");
    !is_local && is_reached_by_none(facts, &queries::reach(settings, host), peers)
}
