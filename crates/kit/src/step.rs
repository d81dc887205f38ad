//! Steps and their tasks: what a playbook's line becomes on each host.
//!
//! A step looks at facts and at what earlier steps are going to do, and answers with tasks. An empty answer means
//! that everything is as it should be. The planner turns tasks into nodes and ties them together.

use std::collections::BTreeSet;

use plan::{Consent, Facts, Gate, Level, Note, Preview, Refusal, RunningUnits, Unknown};
use protocol::facts::UnitQuery;
use protocol::{Action, FactQuery, Operation, Precondition, Text, Trial, UnitVerb};
use types::HostName;

/// A step kind with its arguments read: knows what to ask, and what to do about the answers.
pub trait Step: Send + Sync {
    /// The facts that it needs of a host, beside those of its service.
    fn queries(&self, host: &HostName) -> Vec<FactQuery>;

    /// Its tasks.
    fn plan(&self, cx: &Cx<'_>) -> StepPlan;
}

/// What a step may look at.
pub struct Cx<'a> {
    /// The observations.
    pub facts: &'a Facts,
    /// The step's hosts that were reached, in order.
    pub hosts: &'a [HostName],
    /// The service's [`others`](crate::Service::others) that were reached.
    pub others: &'a [HostName],
    /// The tasks of earlier steps, of this playbook and of those that run before it.
    pub earlier: &'a [Task],
    /// Hosts on which an earlier step was refused or could not be planned: nothing that this step plans there is done.
    pub stopped: &'a BTreeSet<HostName>,
    /// What the operator consented to.
    pub consents: &'a BTreeSet<Consent>,
    /// What ran when the operator asked for a restart of the service; `None` where nobody did.
    pub restart: Option<&'a RunningUnits>,
}

/// Work on one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The host.
    pub host: HostName,
    /// What tells it from other tasks of the same step on the same host; empty where there is one.
    pub part: String,
    /// What is done, in words.
    pub title: String,
    /// Why it is needed.
    pub reason: String,
    /// The change; `None` where the task only waits.
    pub action: Option<Action>,
    /// What the change looks like.
    pub preview: Option<Preview>,
    /// Whether it makes this host's member unavailable for a while.
    pub disrupts: bool,
    /// What must be so right before the change. Where it disrupts, the planner adds that no more other members are
    /// unavailable than may be.
    pub before: Vec<Gate>,
    /// What must come true afterwards.
    pub gates: Vec<Gate>,
    /// The files that it puts into force, beside those that its action says a process reads.
    pub takes: Vec<String>,
}

/// What a step comes to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepPlan {
    /// The work, in the order of a serial rollout: members that are down before those that serve.
    pub tasks: Vec<Task>,
    /// What the operator should know.
    pub notes: Vec<Note>,
    /// What is not done. One about a host stops this playbook's later steps there; one about no host stops them all.
    pub refusals: Vec<Refusal>,
    /// Hosts whose work could not be planned, and why. It stops this playbook's later steps there.
    pub unplanned: Vec<(HostName, String)>,
    /// Hosts whose work cannot be planned yet, and why: it may pass by itself, as of [`Refusal::passing`].
    pub not_yet: Vec<(HostName, String)>,
}

impl Task {
    /// A task that makes a change.
    pub fn new(host: &HostName, title: impl Into<String>, reason: impl Into<String>, action: Action) -> Self {
        Self {
            host: host.clone(),
            part: String::new(),
            title: title.into(),
            reason: reason.into(),
            action: Some(action),
            preview: None,
            disrupts: false,
            before: Vec::new(),
            gates: Vec::new(),
            takes: Vec::new(),
        }
    }

    /// A task that changes nothing, and waits.
    pub fn wait(host: &HostName, title: impl Into<String>, reason: impl Into<String>, gate: Gate) -> Self {
        Self {
            host: host.clone(),
            part: String::new(),
            title: title.into(),
            reason: reason.into(),
            action: None,
            preview: None,
            disrupts: false,
            before: Vec::new(),
            gates: vec![gate],
            takes: Vec::new(),
        }
    }

    /// Tells it from others of its step on its host.
    #[must_use]
    pub fn part(mut self, part: impl Into<String>) -> Self {
        self.part = part.into();
        self
    }

    /// Shows what the change looks like.
    #[must_use]
    pub fn preview(mut self, preview: Preview) -> Self {
        self.preview = Some(preview);
        self
    }

    /// Acts only where these hold, which the agent checks right before.
    #[must_use]
    pub fn only_if(mut self, conditions: impl IntoIterator<Item = Precondition>) -> Self {
        if let Some(action) = &mut self.action {
            action.only_if.extend(conditions);
        }
        self
    }

    /// Waits for something before it touches anything.
    #[must_use]
    pub fn before(mut self, gate: Gate) -> Self {
        self.before.push(gate);
        self
    }

    /// Waits for something afterwards.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gates.push(gate);
        self
    }

    /// Whether it tells systemd this about a unit.
    pub fn tells(&self, unit: &str, verb: UnitVerb) -> bool {
        let operation = self.action.as_ref().map(|action| &action.operation);
        matches!(operation, Some(Operation::Unit { name, verbs, .. }) if name == unit && verbs.contains(&verb))
    }

    /// Puts files into force, by their paths: a member's files are written right before the task of a serial step that does.
    #[must_use]
    pub fn takes(mut self, files: impl IntoIterator<Item = String>) -> Self {
        self.takes.extend(files);
        self
    }

    /// Whether it puts a file into force.
    pub fn applies(&self, path: &str) -> bool {
        let action = self.action.as_ref();
        let reads = action.map_or(&[][..], |action| action.operation.reads());
        reads.iter().chain(&self.takes).any(|taken| taken == path)
    }

    /// Has a program try the file that it writes, before that takes its place: see [`Trial`].
    #[must_use]
    pub fn tried_by<S: Into<String>>(mut self, argv: impl IntoIterator<Item = S>) -> Self {
        if let Some(Action {
            operation: Operation::WriteFile { trial, .. },
            ..
        }) = &mut self.action
        {
            let argv = argv.into_iter().map(Into::into).collect();
            *trial = Some(Trial { argv });
        }
        self
    }

    /// Takes the disruption budget while it runs, where `disrupts` is true.
    #[must_use]
    pub fn disrupting(mut self, disrupts: bool) -> Self {
        self.disrupts = disrupts;
        self
    }
}

impl Cx<'_> {
    /// Whether the operator consented to a destructive action on a host.
    pub fn is_allowed(&self, action: &str, host: &HostName) -> bool {
        self.consents
            .iter()
            .any(|consent| consent.action == action && consent.host == *host)
    }

    /// Whether the operator asked for a restart of a unit, and it still runs as it did then.
    pub fn asks_restart(&self, host: &HostName, unit: &str) -> bool {
        let runs_as_noted = |noted: &RunningUnits| {
            let fact = self.facts.get(host, &UnitQuery::new(unit));
            fact.is_ok_and(|fact| fact.is_active() && noted.has(host, unit, &fact.invocation))
        };
        self.restart.is_some_and(runs_as_noted)
    }

    /// Whether an earlier step is going to write a file.
    pub fn writes(&self, host: &HostName, path: &str) -> bool {
        self.earlier_on(host).any(
            |operation| matches!(operation, Operation::WriteFile { path: written, .. } if written == path),
        )
    }

    /// What an earlier step is going to write into a file; the last one counts.
    pub fn text_to_come(&self, host: &HostName, path: &str) -> Option<&Text> {
        self.earlier_on(host).rev().find_map(|operation| match operation {
            Operation::WriteFile {
                path: written, text, ..
            } if written == path => Some(text),
            _ => None,
        })
    }

    /// Whether an earlier step is going to tell systemd this about a unit.
    pub fn tells(&self, host: &HostName, unit: &str, verb: UnitVerb) -> bool {
        let mut tasks = self.earlier.iter().filter(|task| task.host == *host);
        tasks.any(|task| task.tells(unit, verb))
    }

    /// Whether an earlier step is going to install a package.
    pub fn installs(&self, host: &HostName, package: &str) -> bool {
        self.earlier_on(host).any(
            |operation| matches!(operation, Operation::InstallPackages { names } if names.iter().any(|name| name == package)),
        )
    }

    /// Whether an earlier step is going to write a unit's file, or one that is laid over it.
    pub fn writes_unit(&self, host: &HostName, unit: &str) -> bool {
        let (file, over) = (format!("/{unit}"), format!("/{unit}.d/"));
        self.earlier_on(host).any(|operation| match operation {
            Operation::WriteFile { path, .. } => {
                path.starts_with("/etc/systemd/system/") && (path.ends_with(&file) || path.contains(&over))
            }
            _ => false,
        })
    }

    /// What earlier steps are going to do on a host, in order.
    pub fn earlier_on(&self, host: &HostName) -> impl DoubleEndedIterator<Item = &Operation> {
        let actions = self
            .earlier
            .iter()
            .filter(move |task| task.host == *host)
            .filter_map(|task| task.action.as_ref());
        actions.map(|action| &action.operation)
    }
}

impl StepPlan {
    /// Nothing to do.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds the tasks of a host, or why they could not be planned.
    pub fn add<E: ToString>(&mut self, host: &HostName, planned: Result<impl IntoIterator<Item = Task>, E>) {
        match planned {
            Ok(tasks) => self.tasks.extend(tasks),
            Err(why) => self.unplanned.push((host.clone(), why.to_string())),
        }
    }

    /// Adds a note without a service; the planner fills the service in.
    pub fn note(&mut self, level: Level, host: Option<&HostName>, text: impl Into<String>) {
        self.notes.push(Note {
            level,
            service: None,
            host: host.cloned(),
            text: text.into(),
        });
    }
}

/// An action without preconditions.
pub fn action(operation: Operation, limit_ms: u64) -> Action {
    Action {
        only_if: Vec::new(),
        operation,
        limit_ms,
    }
}

/// Plans each of the step's hosts by itself; a host of which too little is known is reported as not planned.
pub fn each_host(cx: &Cx<'_>, mut plan: impl FnMut(&HostName) -> Result<Vec<Task>, Unknown>) -> StepPlan {
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        all.add(host, plan(host));
    }
    all
}
