//! What case tests of kinds are written with: inventories as text, facts by hand, and plans as text to review.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what a case cannot be made of fails the test"
)]

use std::collections::BTreeSet;

use config::{Findings, Inventory};
use plan::{Consent, Facts, HostFacts, RunningUnits};
use protocol::{Fact, FactError, FactQuery, Operation};
use types::{Diagnostic, HostName, Sources};

use kit::{Cx, StepPlan, Task};
use kit::{Kinds, ReadCx, Service};

/// Reads an inventory of one service; panics with what is wrong.
pub fn service(kinds: Kinds, inventory: &str) -> Box<dyn Service> {
    let (service, found) = read(kinds, inventory);
    assert!(found.is_empty(), "{found:#?}");
    service.expect("a service")
}

/// The same where warnings are expected.
pub fn service_with_warnings(kinds: Kinds, inventory: &str) -> Box<dyn Service> {
    let (service, found) = read(kinds, inventory);
    assert!(!found.iter().any(Diagnostic::is_error), "{found:#?}");
    service.expect("a service")
}

/// The same facts where some questions to a host fail.
#[must_use]
pub fn failing(facts: &Facts, name: &str, is_it: impl Fn(&FactQuery) -> bool, message: &str) -> Facts {
    let mut failing = facts.clone();
    let at = host(name);
    let observed = facts.hosts().find(|(known, _)| **known == at);
    let Some((_, HostFacts::Observed(answers))) = observed else {
        unreachable!("{name} was reached");
    };
    let message = message.to_owned();
    let answers = answers.iter().map(|(query, answer)| {
        let message = message.clone();
        let failed = is_it(query).then_some(Err(FactError { message }));
        (query.clone(), failed.unwrap_or_else(|| answer.clone()))
    });
    failing.add(at, HostFacts::Observed(answers.collect()));
    failing
}

fn read(kinds: Kinds, inventory: &str) -> (Option<Box<dyn Service>>, Vec<Diagnostic>) {
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", inventory);
    let findings = Findings::default();
    let inventory = Inventory::read(&sources, id, &[], &findings);
    let cx = ReadCx {
        inventory: &inventory,
        kinds,
        findings: &findings,
    };
    let service = inventory.services.first().and_then(|decl| cx.read(decl));
    (service, findings.into_parts().0)
}

/// What reading an inventory of one service reports, one line each: message, label and hint.
pub fn errors(kinds: Kinds, inventory: &str) -> Vec<String> {
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", inventory);
    let findings = Findings::default();
    let inventory = Inventory::read(&sources, id, &[], &findings);
    let cx = ReadCx {
        inventory: &inventory,
        kinds,
        findings: &findings,
    };
    for decl in &inventory.services {
        cx.read(decl);
    }
    let (diagnostics, _) = findings.into_parts();
    let lines = diagnostics.into_iter().map(|found| {
        let hint = found.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}: {}{hint}", found.message, found.label)
    });
    lines.collect()
}

/// A host's name.
pub fn host(name: &str) -> HostName {
    name.parse().expect("a host name")
}

/// Answers every query that a service asks of its hosts.
pub fn answer_all(service: &dyn Service, answer: impl Fn(&HostName, &FactQuery) -> Option<Fact>) -> Facts {
    let mut facts = Facts::default();
    for host in service.hosts().iter().chain(&service.others()) {
        let answers = service.queries(host).into_iter().map(|query| {
            let fact = answer(host, &query).ok_or_else(|| FactError {
                message: format!("nobody answers {query:?}"),
            });
            (query, fact)
        });
        facts.add(host.clone(), HostFacts::Observed(answers.collect()));
    }
    facts
}

/// Plans steps one after another, as the planner does, without any consent.
pub fn plan_steps(service: &dyn Service, steps: &[&str], facts: &Facts) -> StepPlan {
    plan_steps_allowing(service, steps, facts, &[])
}

/// The same with consents, each `ACTION=HOST`.
pub fn plan_steps_allowing(service: &dyn Service, steps: &[&str], facts: &Facts, allow: &[&str]) -> StepPlan {
    plan_steps_after(service, Vec::new(), steps, facts, allow)
}

/// The same after tasks of other steps, such as the installation of a package.
pub fn plan_steps_after(
    service: &dyn Service,
    earlier: Vec<Task>,
    steps: &[&str],
    facts: &Facts,
    allow: &[&str],
) -> StepPlan {
    let asked = Asked {
        earlier,
        allow,
        restart: None,
    };
    plan_steps_asked(service, steps, facts, asked)
}

/// The same where a restart was asked for when these facts were observed, which may be earlier than those planned on.
pub fn plan_restart(service: &dyn Service, steps: &[&str], facts: &Facts, then: &Facts) -> StepPlan {
    let asked = Asked {
        restart: Some(RunningUnits::of(then)),
        ..Asked::default()
    };
    plan_steps_asked(service, steps, facts, asked)
}

/// What a plan is made with beside facts.
#[derive(Default)]
pub struct Asked<'a> {
    /// Tasks of other steps.
    pub earlier: Vec<Task>,
    /// Consents, each `ACTION=HOST`.
    pub allow: &'a [&'a str],
    /// What ran when a restart was asked for.
    pub restart: Option<RunningUnits>,
}

/// Plans steps one after another, as the planner does.
pub fn plan_steps_asked(service: &dyn Service, steps: &[&str], facts: &Facts, asked: Asked<'_>) -> StepPlan {
    let Asked {
        earlier,
        allow,
        restart,
    } = asked;
    let consents: BTreeSet<Consent> = allow
        .iter()
        .map(|text| {
            let (action, on) = text.split_once('=').expect("ACTION=HOST");
            Consent {
                action: action.to_owned(),
                host: host(on),
            }
        })
        .collect();
    let reached = |hosts: &[HostName]| -> Vec<HostName> {
        let reached = hosts.iter().filter(|host| facts.unreachable(host).is_none());
        reached.cloned().collect()
    };
    let (reached, others) = (reached(service.hosts()), reached(&service.others()));
    let mut all = StepPlan {
        tasks: earlier,
        ..StepPlan::nothing()
    };
    for step in steps {
        let is_late = is_late(service, step);
        let halted = reached.iter().filter(|host| stopped(&all, host, is_late));
        let halted: BTreeSet<HostName> = halted.cloned().collect();
        let cx = Cx {
            facts,
            hosts: &reached,
            others: &others,
            earlier: &all.tasks,
            stopped: &halted,
            consents: &consents,
            restart: restart.as_ref(),
        };
        let mut plan = service.plan_step(step, &cx).without_obstacles(facts);
        plan.tasks.iter().for_each(assert_typed);
        // As the planner does: what is refused or not planned stops what comes later.
        plan.tasks.retain(|task| !stopped(&all, &task.host, is_late));
        let StepPlan {
            tasks,
            notes,
            refusals,
            unplanned,
            not_yet,
        } = plan;
        all.tasks.extend(tasks);
        all.notes.extend(notes);
        all.refusals.extend(refusals);
        all.unplanned.extend(unplanned);
        all.not_yet.extend(not_yet);
    }
    all
}

/// The programs that change files, or run others: a kind says what it wants done to a file as a typed operation, so that the
/// agent can do it without being led elsewhere.
const UNTYPED: [&str; 18] = [
    "sh", "bash", "env", "chown", "chmod", "chgrp", "sed", "awk", "rm", "mv", "cp", "ln", "install", "mkdir",
    "touch", "tee", "dd", "truncate",
];

fn assert_typed(task: &Task) {
    if let Some(Operation::Run { commands }) = task.action.as_ref().map(|action| &action.operation) {
        for command in commands {
            let program = command
                .argv
                .first()
                .map(|path| path.rsplit('/').next().unwrap_or(path));
            let is_typed = program.is_some_and(|program| !UNTYPED.contains(&program));
            assert!(
                is_typed,
                "{}: {:?} is no typed operation",
                task.title, command.argv
            );
        }
    }
}

/// A late step is stopped by refusals only: it may mend what the others wait for.
fn stopped(plan: &StepPlan, host: &HostName, is_late: bool) -> bool {
    let mut refusals = plan.refusals.iter();
    let mut unplanned = plan.unplanned.iter().chain(&plan.not_yet);
    refusals.any(|refusal| refusal.host.as_ref().is_none_or(|refused| refused == host))
        || (!is_late && unplanned.any(|(unplanned, _)| unplanned == host))
}

/// Whether a step of the built-in playbook comes after the services that use its service.
fn is_late(service: &dyn Service, step: &str) -> bool {
    let kind = service.kind();
    let path = format!("{}/../../playbooks/{kind}.toml", env!("CARGO_MANIFEST_DIR"));
    let playbook = std::fs::read_to_string(path).expect("a built-in playbook");
    let uses = format!("uses = \"{kind}.{step}\"");
    let mut steps = playbook.split("[[steps]]");
    steps.any(|lines| lines.lines().any(|line| line == uses) && lines.contains("\nafter_users = true"))
}

/// Whether nothing is to be done, refused or left open.
pub fn is_settled(plan: &StepPlan) -> bool {
    plan.tasks.is_empty() && plan.refusals.is_empty() && plan.unplanned.is_empty() && plan.not_yet.is_empty()
}

/// The plan of a service, where one of its hosts is paused: nothing is known of that host. It must be unavailable, and no
/// task on it.
pub fn plan_beside_paused(
    service: &dyn Service,
    steps: &[&str],
    facts: &Facts,
    paused: &HostName,
) -> StepPlan {
    let mut facts = facts.clone();
    let why = "paused: its disk is replaced".to_owned();
    facts.add(paused.clone(), HostFacts::Unreachable(why));
    assert!(service.unavailable(&facts).contains(paused), "{paused}");
    assert!(service.budget(&facts).unavailable.contains(paused), "{paused}");
    let plan = plan_steps(service, steps, &facts);
    assert!(
        plan.tasks.iter().all(|task| task.host != *paused),
        "{}",
        render(&plan)
    );
    plan
}

/// A plan in a form to review: a line for each task, note and refusal.
pub fn render(plan: &StepPlan) -> String {
    let mut lines: Vec<String> = Vec::new();
    for Task {
        host,
        part,
        title,
        reason,
        preview,
        disrupts,
        before,
        gates,
        action,
        takes,
    } in &plan.tasks
    {
        let part = if part.is_empty() {
            String::new()
        } else {
            format!(" [{part}]")
        };
        let disrupts = if *disrupts { " (disrupts)" } else { "" };
        lines.push(format!("{host}{part}: {title}{disrupts}, because {reason}"));
        for condition in action.iter().flat_map(|action| &action.only_if) {
            lines.push(format!("    only if {}", condition.what));
        }
        if let Some(Operation::WriteFile {
            trial: Some(trial), ..
        }) = action.as_ref().map(|action| &action.operation)
        {
            let words = trial.argv.iter().map(String::as_str);
            let words = words.map(|word| if word.contains('\n') { "(script)" } else { word });
            lines.push(format!("    tried by {}", words.collect::<Vec<_>>().join(" ")));
        }
        lines.extend(takes.iter().map(|file| format!("    takes {file}")));
        lines.extend(before.iter().map(|gate| format!("    once {}", gate.title)));
        match preview {
            Some(plan::Preview::File { after, .. }) => {
                lines.extend(after.as_str().lines().map(|line| format!("    | {line}")));
            }
            Some(plan::Preview::Commands(commands)) => {
                lines.extend(commands.iter().map(|command| format!("    $ {command}")));
            }
            None => {}
        }
        lines.extend(gates.iter().map(|gate| format!("    then {}", gate.title)));
    }
    for note in &plan.notes {
        let host = note
            .host
            .as_ref()
            .map(|host| format!(" {host}"))
            .unwrap_or_default();
        lines.push(format!("{:?}{host}: {}", note.level, note.text));
    }
    for refusal in &plan.refusals {
        let consent = refusal
            .consent
            .as_ref()
            .map(|consent| format!(" [--allow {consent}]"))
            .unwrap_or_default();
        let word = if refusal.passing {
            "refused for now"
        } else {
            "refused"
        };
        lines.push(format!(
            "{word}: {}, because {}; {}{consent}",
            refusal.what, refusal.why, refusal.resolve
        ));
    }
    for (host, why) in &plan.unplanned {
        lines.push(format!("not planned on {host}: {why}"));
    }
    for (host, why) in &plan.not_yet {
        lines.push(format!("not planned yet on {host}: {why}"));
    }
    lines.join("\n")
}

/// What a plan would rest on, as text; what moves by itself bears a `~`.
pub fn basis(service: &dyn Service, facts: &Facts) -> Vec<String> {
    let lines = service.basis(facts).into_iter().map(|basis| {
        let mark = if basis.is_volatile { "~" } else { "" };
        format!("{mark}{}: {}", basis.what, basis.value)
    });
    lines.collect()
}
