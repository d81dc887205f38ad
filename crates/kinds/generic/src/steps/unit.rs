//! `unit`: a systemd unit that runs or not, starts at boot or not, and is restarted when its files change.
//!
//! No state is kept of changed files: a unit is restarted where one of its files is newer than its main
//! process, or is written by an earlier step of the same plan; so a run that died between the two loses nothing.

use protocol::facts::{FileQuery, UnitFact, UnitQuery};
use protocol::{FactQuery, Operation, Query, UnitVerb};
use types::{Diagnostic, HostName};

use crate::arguments::Args;
use crate::checks;
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Freshness, Task, UNIT, action};

pub(crate) struct Unit {
    name: String,
    /// Whether it shall run; `None` where that is left as it is.
    runs: Option<bool>,
    /// Whether it shall start at boot; `None` where that is left as it is.
    enabled: Option<bool>,
    restart_on: Vec<String>,
    /// Whether a restart makes a member of a service unavailable.
    of_service: bool,
}

impl OnHost for Unit {
    const ARGUMENT: &'static str = "an argument of unit";

    fn read(args: &Args<'_>) -> Option<Self> {
        let reader = args.reader();
        let name = args
            .required("name", "name = \"nginx\"")
            .and_then(|name| args.unit(name));
        let runs = reader.choice("state", &[("started", true), ("stopped", false)]);
        let enabled = reader.bool("enabled");
        let files = args.words("restart_on").unwrap_or_default();
        let files = files.into_iter().filter_map(|file| args.absolute(file)).collect();
        if runs.is_none()
            && enabled.is_none()
            && reader.value("state").is_none()
            && reader.value("enabled").is_none()
        {
            let error =
                Diagnostic::error("the unit's state is missing").at(reader.span(), "needs state, or enabled");
            args.report(error.hint("state = \"started\", enabled = true"));
            return None;
        }
        if let Some(value) = reader.value("restart_on").filter(|_| runs != Some(true)) {
            let error = Diagnostic::error("restart_on is for a unit that runs")
                .at(value.span, "needs state = \"started\"");
            args.report(error);
            return None;
        }
        let service = args.cx.service;
        Some(Self {
            name: name?,
            runs,
            enabled,
            restart_on: files,
            of_service: service.is_some_and(|service| service.hosts().contains(args.host)),
        })
    }

    fn queries(&self) -> Vec<FactQuery> {
        let files = self.restart_on.iter().map(|path| FileQuery::meta(path).wrap());
        files.chain([UnitQuery::new(&self.name).wrap()]).collect()
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let fact = cx.facts.get(host, &UnitQuery::new(&self.name))?;
        if !fact.exists() && (self.runs == Some(true) || self.enabled == Some(true)) {
            self.may_come(host, fact, cx)?;
        }
        let mut todo: Vec<(UnitVerb, String)> = Vec::new();
        match self.enabled {
            Some(true) if !fact.is_enabled() => {
                todo.push((UnitVerb::Enable, "it does not start at boot".to_owned()));
            }
            Some(false) if fact.enabled.starts_with("enabled") => {
                todo.push((UnitVerb::Disable, "it starts at boot".to_owned()));
            }
            _ => {}
        }
        match self.runs {
            Some(true) if !fact.is_active() => todo.push((UnitVerb::Start, not_running(fact))),
            Some(true) => todo.extend(self.stale(host, fact, cx)?.map(|why| (UnitVerb::Restart, why))),
            Some(false) if fact.is_active() || fact.active == "activating" => {
                todo.push((UnitVerb::Stop, "it runs".to_owned()));
            }
            _ => {}
        }
        let unread = if fact.stale {
            Some("systemd has not read its file since it was changed")
        } else {
            None
        };
        if let Some(why) = unread.or(cx.writes_unit(host, &self.name).then_some("its file is written")) {
            todo.insert(0, (UnitVerb::DaemonReload, why.to_owned()));
        }
        Ok((!todo.is_empty()).then(|| self.task(host, todo)))
    }
}

impl Unit {
    fn task(&self, host: &HostName, todo: Vec<(UnitVerb, String)>) -> Task {
        let (verbs, reasons): (Vec<UnitVerb>, Vec<String>) = todo.into_iter().unzip();
        let words: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
        let restarts = verbs.contains(&UnitVerb::Restart);
        let waits = restarts || verbs.contains(&UnitVerb::Start);
        let operation = Operation::Unit {
            name: self.name.clone(),
            verbs,
            reads: self.restart_on.clone(),
        };
        let title = format!("{} {}", words.join(", "), self.name);
        let task = Task::new(host, title, reasons.join("; "), action(operation, UNIT));
        let task = task.disrupting(restarts && self.of_service);
        if waits {
            task.gate(checks::unit(host, &self.name, UNIT))
        } else {
            task
        }
    }

    /// Passes where a missing unit may exist when this step has its turn.
    fn may_come(&self, host: &HostName, fact: &UnitFact, cx: &Cx<'_>) -> Result<(), NotPlanned> {
        let installs = |operation: &Operation| matches!(operation, Operation::InstallPackages { .. });
        if fact.load == "not-found" && (cx.earlier_on(host).any(installs) || cx.writes_unit(host, &self.name))
        {
            return Ok(());
        }
        let (why, resolve) = match fact.load.as_str() {
            "not-found" => (
                "there is no such unit".to_owned(),
                "install what brings it with a step before this one".to_owned(),
            ),
            "masked" => (
                "it is masked".to_owned(),
                format!("`systemctl unmask {}` on {host}", self.name),
            ),
            load => (
                format!("systemd says {load}"),
                format!("`systemctl status {}` on {host} tells more", self.name),
            ),
        };
        let what = format!("{} is not started on {host}", self.name);
        Err(NotPlanned::refused(host, what, why, resolve))
    }

    /// Why the process does not run with what its files say.
    fn stale(&self, host: &HostName, fact: &UnitFact, cx: &Cx<'_>) -> Result<Option<String>, NotPlanned> {
        if cx.tells(host, &self.name, UnitVerb::Restart) {
            return Ok(None);
        }
        for path in &self.restart_on {
            if cx.writes(host, path) {
                return Ok(Some(format!("{path} is written")));
            }
            let file = cx.facts.get(host, &FileQuery::meta(path))?;
            if let Some(newer) = Freshness::of(path, file, fact).newer() {
                return Ok(Some(format!("{path} {newer}")));
            }
        }
        Ok(None)
    }
}

fn not_running(fact: &UnitFact) -> String {
    match fact.active.as_str() {
        _ if !fact.exists() => "it does not exist yet".to_owned(),
        "failed" => "it failed".to_owned(),
        active => format!("it is {active}"),
    }
}
