//! Directives that a failover removes from the old master's file, written again before its restart.
//!
//! When Sentinel makes a master a replica it sends CONFIG REWRITE along, and the engine writes what it *runs* with: a
//! `databases 32` that waited in the file for the restart became 16 again, and a `tcp-backlog` was gone (ran, Redis
//! 7.0.15; `Config::Rewrite` of Kvrocks does the same). The file as it will be then is not known when the plan is made,
//! its role least of all, so only these directives are set, by the agent, in the file as it is then. No secret is
//! among them: passwords are set at run time, and survive.

use plan::Preview;
use protocol::{Directive, Operation};

use crate::observe::Member;
use crate::rules::drift::Drift;
use kit::{QUICK, Task, action};

/// The task; `None` where no directive waits for a restart.
pub(super) fn plan(member: &Member<'_>, waiting: &[Drift]) -> Option<Task> {
    if waiting.is_empty() {
        return None;
    }
    let path = member.settings.config.as_str();
    let directives = waiting.iter().map(|drift| Directive {
        name: drift.desired.key.clone(),
        values: drift.lines().to_vec(),
    });
    let directives: Vec<Directive> = directives.collect();
    let preview = Preview::Commands(vec![as_typed(path, &directives)]);
    let keys = |is_absent| {
        let drifts = waiting.iter().filter(|drift| drift.is_absent == is_absent);
        let keys: Vec<&str> = drifts.map(Drift::key).collect();
        (!keys.is_empty()).then(|| keys.join(", "))
    };
    let written = keys(false).map(|keys| format!("write {keys} into {path} again"));
    let taken_out = keys(true).map(|keys| format!("take {keys} out of {path} again"));
    let titles: Vec<String> = written.into_iter().chain(taken_out).collect();
    let title = titles.join("; ");
    let reason = "the failover makes the engine rewrite its file with what it runs with";
    let path = path.to_owned();
    let action = action(Operation::SetDirectives { path, directives }, QUICK);
    let task = Task::new(member.host, title, reason, action);
    Some(task.part("config").preview(preview))
}

/// The edit as an operator would type it. What is added comes first: sed runs no more commands on a line that it deletes,
/// the last one too (ran).
fn as_typed(path: &str, directives: &[Directive]) -> String {
    let added = directives.iter().flat_map(|directive| {
        let values = directive.values.iter();
        values.map(|value| with(&directive.name, value))
    });
    let scripts = added.chain(directives.iter().map(|directive| without(&directive.name)));
    let words = scripts.flat_map(|script| ["-e".to_owned(), script]);
    let words: Vec<String> = words.chain([path.to_owned()]).collect();
    format!("sed -i {}", words.join(" "))
}

/// Deletes the lines of a directive. Names are letters, digits, dots, hyphens and underscores (`settings`).
fn without(key: &str) -> String {
    format!("/^[[:space:]]*{}[[:space:]]/Id", key.replace('.', "\\."))
}

/// Adds a line at the end; sed takes a backslash for the beginning of an escape.
fn with(key: &str, value: &str) -> String {
    format!("$a\\{key} {}", value.replace('\\', "\\\\"))
}
