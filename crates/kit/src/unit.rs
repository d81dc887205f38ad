//! systemd units: what a unit's process needs, and the task that gives it that.

use std::fmt;

use plan::{Facts, Unknown};
use protocol::facts::{TcpFact, TcpQuery, UnitFact, UnitQuery};
use protocol::{Operation, UnitVerb};
use thiserror::Error;
use types::HostName;

use crate::limits::UNIT;
use crate::step::{Cx, Task, action};

/// What a unit's process needs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What systemd is told, in order.
    pub verbs: Vec<UnitVerb>,
    /// Why, for people.
    pub reason: Reason,
}

/// Why a unit's process needs something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its package is installed by this plan, and may start it with another configuration.
    Installed(String),
    /// It does not run.
    Stopped,
    /// It runs, and must be started again: for what only its kind knows.
    Restart(String),
    /// The operator requested a restart.
    Requested,
    /// It runs, and would not after a reboot.
    Disabled,
    /// systemd runs it with an old unit file.
    StaleUnitFile,
}

/// Why it cannot be told what a unit's process needs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undecided {
    /// A fact is missing.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// There is no such unit.
    #[error("there is no unit {unit} on {host}")]
    NoUnit {
        /// The unit.
        unit: String,
        /// The host.
        host: HostName,
    },
}

/// A unit of a service on a host, and the package that brings it (empty where the distribution has none).
#[derive(Debug, Clone)]
pub struct Process<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The unit's full name.
    pub unit: &'a str,
    /// The package that this plan may install.
    pub package: &'a str,
    /// The files that it reads when it is started, and does not write itself: the agent notes what it was started with.
    pub reads: Vec<String>,
}

impl Process<'_> {
    /// What it needs: the one decision of all kinds. `restart` says why a running process must be started again, and is
    /// asked only about a unit that runs.
    pub fn need<E: From<Undecided>>(
        &self,
        cx: &Cx<'_>,
        restart: impl FnOnce() -> Result<Option<String>, E>,
    ) -> Result<Option<Need>, E> {
        let need = self.need_to_run(cx)?;
        if matches!(&need, Some(need) if need.starts()) {
            return Ok(need);
        }
        let reason = match restart()? {
            Some(why) => Reason::Restart(why),
            None if cx.asks_restart(self.host, self.unit) => Reason::Requested,
            None => return Ok(need),
        };
        let mut verbs = need.map(|need| need.verbs).unwrap_or_default();
        verbs.push(UnitVerb::Restart);
        Ok(Some(Need { verbs, reason }))
    }

    /// What it needs to run, now and after a reboot. A process that runs is not started again, unless its package is
    /// installed: for members of a cluster, which are restarted in turns by a step of their own.
    pub fn need_to_run(&self, cx: &Cx<'_>) -> Result<Option<Need>, Undecided> {
        if !self.package.is_empty() && cx.installs(self.host, self.package) {
            let mut verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
            if cx.writes_unit(self.host, self.unit) {
                verbs.insert(0, UnitVerb::DaemonReload);
            }
            let reason = Reason::Installed(self.package.to_owned());
            return Ok(Some(Need { verbs, reason }));
        }
        let unit = cx.facts.get(self.host, &UnitQuery::new(self.unit))?;
        if !unit.exists() {
            let (unit, host) = (self.unit.to_owned(), self.host.clone());
            return Err(Undecided::NoUnit { unit, host });
        }
        let mut verbs = verbs_of(unit);
        if cx.writes_unit(self.host, self.unit) && !unit.stale {
            verbs.insert(0, UnitVerb::DaemonReload);
        }
        let reason = if verbs.contains(&UnitVerb::Start) {
            Reason::Stopped
        } else if verbs.contains(&UnitVerb::Enable) {
            Reason::Disabled
        } else if verbs.is_empty() {
            return Ok(None);
        } else {
            Reason::StaleUnitFile
        };
        Ok(Some(Need { verbs, reason }))
    }

    /// The task that gives it that.
    pub fn task(&self, need: &Need) -> Task {
        self.tell(&need.verbs, need.reason.to_string())
    }

    /// The task that stops it for good; `None` where it neither runs nor starts at boot.
    pub fn retire(&self, unit: &UnitFact, reason: impl Into<String>) -> Option<Task> {
        let verbs = verbs_to_retire(unit);
        (!verbs.is_empty()).then(|| self.tell(&verbs, reason))
    }

    /// The task that tells systemd this about it.
    pub fn tell(&self, verbs: &[UnitVerb], reason: impl Into<String>) -> Task {
        let words: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
        let title = format!("{} {}", words.join(" and "), self.unit);
        let starts = |verb: &UnitVerb| matches!(verb, UnitVerb::Start | UnitVerb::Restart);
        let operation = Operation::Unit {
            name: self.unit.to_owned(),
            verbs: verbs.to_vec(),
            reads: if verbs.iter().any(starts) {
                self.reads.clone()
            } else {
                Vec::new()
            },
        };
        Task::new(self.host, title, reason, action(operation, UNIT))
    }
}

impl Need {
    /// Whether a process is started, as opposed to what systemd is only told for later.
    pub fn starts(&self) -> bool {
        self.verbs.contains(&UnitVerb::Start) || self.restarts()
    }

    /// Whether a process that runs is started again.
    pub fn restarts(&self) -> bool {
        self.verbs.contains(&UnitVerb::Restart)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed(package) => write!(f, "{package} is installed by this plan"),
            Self::Stopped => f.write_str("it does not run"),
            Self::Restart(why) => f.write_str(why),
            Self::Requested => f.write_str(ASKED),
            Self::Disabled => f.write_str("it does not start at boot"),
            Self::StaleUnitFile => f.write_str("the unit's file was changed since systemd read it"),
        }
    }
}

/// The reason of a restart that nothing but the operator's request asks for.
const ASKED: &str = "a restart was requested";

/// What must be told to systemd so that a unit neither runs nor starts at boot; empty where it does neither. It is disabled
/// first, so that a unit that was cut off in between is still seen to run. One that systemd starts again and again is
/// stopped as well.
fn verbs_to_retire(unit: &UnitFact) -> Vec<UnitVerb> {
    let mut verbs = Vec::new();
    if unit.is_enabled() {
        verbs.push(UnitVerb::Disable);
    }
    if unit.is_active() || unit.active == "activating" {
        verbs.push(UnitVerb::Stop);
    }
    verbs
}

/// What must be told to systemd so that a unit runs and starts at boot; empty where it does.
///
/// A unit that is not known yet, because its package is to be installed by this plan, is enabled and started.
pub fn verbs_to_run(host: &HostName, unit: &str, facts: &Facts) -> Result<Vec<UnitVerb>, Unknown> {
    Ok(verbs_of(facts.get(host, &UnitQuery::new(unit))?))
}

fn verbs_of(unit: &UnitFact) -> Vec<UnitVerb> {
    let mut verbs = Vec::new();
    if unit.stale {
        verbs.push(UnitVerb::DaemonReload);
    }
    if !unit.is_enabled() {
        verbs.push(UnitVerb::Enable);
    }
    if !unit.is_active() {
        verbs.push(UnitVerb::Start);
    }
    verbs
}

/// Whether some of the others were asked whether they reach a port of a host, and none does.
pub fn is_reached_by_none<'h>(
    facts: &Facts,
    port: &TcpQuery,
    others: impl Iterator<Item = &'h HostName>,
) -> bool {
    let mut seen = others.filter_map(|other| facts.get(other, port).ok()).peekable();
    seen.peek().is_some() && seen.all(|fact| *fact != TcpFact::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_started_again_and_again_is_stopped_too() {
        let unit = UnitFact {
            load: "loaded".to_owned(),
            active: "activating".to_owned(),
            sub: "auto-restart".to_owned(),
            enabled: "disabled".to_owned(),
            main_pid: 0,
            started_us: 1,
            invocation: String::new(),
            stale: false,
            started_with: Vec::new(),
        };
        assert_eq!(verbs_to_retire(&unit), [UnitVerb::Stop]);
    }
}
