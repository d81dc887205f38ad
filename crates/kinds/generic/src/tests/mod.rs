//! Case tests of the generic steps: a playbook on a host in some state, what is planned, and that a host which was
//! changed as planned leaves nothing to plan.

mod arguments;
mod edits;
mod files;
mod hosts;
mod services;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use config::{Findings, Inventory, Playbook};
use plan::{Facts, HostFacts};
use protocol::facts::{
    CommandFact, FileFact, FileKind, FileMeta, PackageFact, ResolveFact, Silence, TcpFact, UnitFact,
};
use protocol::{Fact, FactQuery, FileState, Operation, Text, UnitVerb};
use types::{Diagnostic, HostName, Sources};

use super::{BuildCx, build, templates};
use cases::{host, render};
use kit::Service;
use kit::{Cx, Step, StepPlan};

const INVENTORY: &str = "
    [vars]
    site = \"west\"
    [hosts]
    db1 = \"10.0.0.1\"
    db2 = \"10.0.0.2\"
    db3 = \"db3.example.com\"
";

/// A playbook that was read, and what was wrong with it.
struct Read {
    steps: Vec<Box<dyn Step>>,
    errors: String,
}

/// Reads a playbook for db1; `files` are the templates beside it.
fn read(inventory: &str, playbook: &str, files: &[(&str, &str)], service: Option<&dyn Service>) -> Read {
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", inventory);
    let findings = Findings::default();
    let inventory = Inventory::read(&sources, id, &[], &findings);
    let id = sources.add("playbook.toml", playbook);
    let playbook = Playbook::read(&sources, id, &findings);
    let wanted: BTreeSet<&str> = templates(&playbook).into_iter().map(|(name, _)| name).collect();
    let there = files.iter().filter(|(name, _)| wanted.contains(name));
    let templates: BTreeMap<String, _> = there
        .map(|(name, text)| ((*name).to_owned(), sources.add(*name, *text)))
        .collect();
    let cx = BuildCx {
        inventory: &inventory,
        service,
        kinds: kit::Kinds::new(&[kvrocks::KIND, rabbitmq::KIND]),
        hosts: &[host("db1")],
        templates: &templates,
        sources: &sources,
        findings: &findings,
    };
    let steps = playbook
        .steps
        .iter()
        .filter_map(|step| build(step, &cx))
        .collect();
    let (diagnostics, _) = findings.into_parts();
    let errors: Vec<String> = diagnostics.iter().map(|found| tell(found, &sources)).collect();
    Read {
        steps,
        errors: errors.join("\n"),
    }
}

/// A diagnostic in one line, with what its place covers.
fn tell(found: &Diagnostic, sources: &Sources) -> String {
    let level = if found.is_error() { "" } else { "warning: " };
    let at = found
        .span
        .and_then(|span| sources.snippet(span))
        .unwrap_or_default();
    let at = at.lines().next().unwrap_or_default();
    let hint = found
        .hint
        .as_ref()
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default();
    format!("{level}{} | at `{at}`: {}{hint}", found.message, found.label)
}

/// The steps of a playbook in which nothing is wrong.
fn steps(playbook: &str) -> Vec<Box<dyn Step>> {
    let read = read(INVENTORY, playbook, &[], None);
    assert_eq!(read.errors, "");
    read.steps
}

/// What is wrong with one step.
fn errors(step: &str) -> String {
    read(INVENTORY, &format!("[[steps]]\n{step}"), &[], None).errors
}

/// A host in some state.
#[derive(Default, Clone)]
struct World {
    now: i64,
    files: BTreeMap<String, FileMeta>,
    packages: BTreeSet<String>,
    /// Those whose installation was cut off.
    partial: BTreeSet<String>,
    units: BTreeMap<String, UnitFact>,
    /// What commands end with; the others are not there, which is an error.
    commands: BTreeMap<String, i32>,
    ports: BTreeSet<u16>,
    names: BTreeMap<String, Vec<String>>,
    /// Files that packages bring.
    brings: BTreeMap<String, String>,
}

impl World {
    fn file(mut self, path: &str, text: &str) -> Self {
        self.write(path, &Text::new(text), 0o644, "root", "root");
        self
    }

    fn write(&mut self, path: &str, text: &Text, mode: u32, owner: &str, group: &str) {
        let meta = FileMeta {
            kind: FileKind::File,
            sha256: kit::hash(text).unwrap_or_else(|| "of secrets".to_owned()),
            len: 0,
            mode,
            owner: owner.to_owned(),
            group: group.to_owned(),
            modified_us: self.now,
            text: Some(text.clone()),
            target: String::new(),
            names: 0,
            ahead_us: 0,
            changed_us: 0,
        };
        self.files.insert(path.to_owned(), meta);
    }

    fn kind(mut self, path: &str, kind: FileKind) -> Self {
        self = self.file(path, "");
        let meta = self.files.get_mut(path).unwrap();
        (meta.kind, meta.text, meta.mode) = (kind, None, 0o755);
        if kind == FileKind::Link {
            "/etc/shadow".clone_into(&mut meta.target);
        }
        self
    }

    fn unit(mut self, name: &str, active: &str, enabled: &str) -> Self {
        let unit = UnitFact {
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: String::new(),
            enabled: enabled.to_owned(),
            main_pid: 1,
            started_us: self.now,
            invocation: String::new(),
            stale: false,
            started_with: Vec::new(),
        };
        self.units.insert(name.to_owned(), unit);
        self
    }

    /// Time passes.
    fn later(mut self) -> Self {
        self.now += 20_000;
        self
    }

    fn answer(&self, query: &FactQuery) -> Option<Fact> {
        Some(match query {
            FactQuery::File(query) => Fact::File(match self.files.get(&query.path) {
                Some(meta) => FileFact::Present(FileMeta {
                    text: meta.text.clone().filter(|_| query.text),
                    ..meta.clone()
                }),
                None => FileFact::Absent,
            }),
            FactQuery::Package(query) => Fact::Package(PackageFact {
                version: self.packages.contains(&query.name).then(|| "1".to_owned()),
                is_partial: self.partial.contains(&query.name),
            }),
            FactQuery::Unit(query) => Fact::Unit(self.units.get(&query.name).cloned().unwrap_or(UnitFact {
                load: "not-found".to_owned(),
                active: "inactive".to_owned(),
                sub: String::new(),
                enabled: String::new(),
                main_pid: 0,
                started_us: 0,
                invocation: String::new(),
                stale: false,
                started_with: Vec::new(),
            })),
            FactQuery::Command(query) => Fact::Command(CommandFact {
                status: *self.commands.get(&query.argv.join(" "))?,
                stdout: String::new(),
                stderr: String::new(),
            }),
            FactQuery::Tcp(query) => Fact::Tcp(if self.ports.contains(&query.port) {
                TcpFact::Open
            } else {
                TcpFact::Closed(Silence::refused())
            }),
            FactQuery::Resolve(query) => Fact::Resolve(ResolveFact {
                addresses: self.names.get(&query.name).cloned().unwrap_or_default(),
            }),
            _ => return None,
        })
    }

    fn facts(&self, queries: Vec<FactQuery>) -> Facts {
        let answers = queries.into_iter().map(|query| {
            let fact = self.answer(&query).ok_or_else(|| protocol::FactError {
                message: "no such file or directory".to_owned(),
            });
            (query, fact)
        });
        let mut facts = Facts::default();
        facts.add(host("db1"), HostFacts::Observed(answers.collect()));
        facts
    }

    /// Plans steps one after another, as the planner does.
    fn plan(&self, steps: &[Box<dyn Step>]) -> StepPlan {
        let db1 = host("db1");
        let facts = self.facts(steps.iter().flat_map(|step| step.queries(&db1)).collect());
        let mut all = StepPlan::nothing();
        for step in steps {
            let plan = step.plan(&Cx {
                facts: &facts,
                hosts: std::slice::from_ref(&db1),
                earlier: &all.tasks,
                stopped: &BTreeSet::new(),
                consents: &BTreeSet::new(),
                others: &[],
                restart: None,
            });
            all.tasks.extend(plan.tasks);
            all.notes.extend(plan.notes);
            all.refusals.extend(plan.refusals);
            all.unplanned.extend(plan.unplanned);
        }
        all
    }

    /// Does what was planned, as the agent does it.
    fn apply(&mut self, plan: &StepPlan) {
        for operation in plan
            .tasks
            .iter()
            .filter_map(|task| Some(&task.action.as_ref()?.operation))
        {
            self.now += 20_000;
            self.perform(operation);
        }
    }

    fn perform(&mut self, operation: &Operation) {
        match operation {
            Operation::WriteFile {
                path,
                text,
                mode,
                owner,
                group,
                was,
                trial: _,
            } => {
                let found = self
                    .files
                    .get(path)
                    .map(|meta| FileState::Hash(meta.sha256.clone()));
                let found = found.unwrap_or(FileState::Absent);
                assert!(
                    *was == FileState::Any || *was == found,
                    "{path} changed since the plan: {was:?}, {found:?}"
                );
                self.write(path, text, *mode, owner, group);
            }
            Operation::MakeDirectory {
                path,
                mode,
                owner,
                group,
                ..
            } => {
                self.write(path, &Text::default(), *mode, owner, group);
                self.files.get_mut(path).unwrap().kind = FileKind::Directory;
            }
            Operation::InstallPackages { names } => {
                self.packages.extend(names.iter().cloned());
                for (path, text) in self.brings.clone() {
                    *self = std::mem::take(self).file(&path, &text);
                }
            }
            Operation::Unit { name, verbs, .. } => {
                if !self.units.contains_key(name) {
                    *self = std::mem::take(self).unit(name, "inactive", "disabled");
                }
                let unit = self.units.get_mut(name).unwrap();
                for verb in verbs {
                    match verb {
                        UnitVerb::DaemonReload => unit.stale = false,
                        UnitVerb::Enable => "enabled".clone_into(&mut unit.enabled),
                        UnitVerb::Disable => "disabled".clone_into(&mut unit.enabled),
                        UnitVerb::Stop => "inactive".clone_into(&mut unit.active),
                        UnitVerb::Start | UnitVerb::Restart => {
                            "active".clone_into(&mut unit.active);
                            unit.started_us = self.now;
                        }
                        UnitVerb::Reload | UnitVerb::ResetFailed => {}
                    }
                }
            }
            Operation::Run { .. } => {
                for status in self.commands.values_mut() {
                    *status = i32::from(*status == 0);
                }
            }
            // The rest are commands to servers, which no generic step sends.
            _ => {
                panic!("no generic step speaks to a database")
            }
        }
    }

    /// The plan, after which nothing is left to plan.
    fn converges(&self, playbook: &str) -> String {
        let steps = steps(playbook);
        let plan = self.plan(&steps);
        let mut after = self.clone();
        after.apply(&plan);
        assert_eq!(after.plan(&steps), StepPlan::nothing());
        render(&plan)
    }

    /// The plan.
    fn comes_to(&self, playbook: &str) -> String {
        render(&self.plan(&steps(playbook)))
    }
}

fn names(text: &[&str]) -> Vec<HostName> {
    text.iter().map(|name| host(name)).collect()
}
