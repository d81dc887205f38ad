//! What a failover undoes in the old master's file is written again before its restart.
//!
//! When Sentinel makes a master a replica it sends CONFIG REWRITE along, and the engine writes what it *runs* with: a
//! `databases 32` that waited in the file for the restart became 16 again, and a `tcp-backlog` was gone (ran, Redis
//! 7.0.15; `Config::Rewrite` of Kvrocks does the same). The file as it will be then is not known when the plan is made,
//! its role least of all, so only these directives are put in, on the host, by one run of sed(1), which replaces the file whole and
//! keeps owner and mode; what stood there is kept first, where the agent keeps what it replaces. No secret is among the
//! directives: passwords are set at run time, and survive.

use ::plan::Preview;
use protocol::{Action, Command, Operation, Precondition};

use super::drift::Drift;
use super::settings::Settings;
use super::view::Member;
use crate::common::QUICK;
use crate::step::Task;

/// Where the agent keeps what it replaces.
const BACKUPS: &str = "/var/backups/clusterctl";

/// The task; `None` where nothing waits for a restart.
pub(super) fn plan(
    settings: &Settings,
    member: &Member<'_>,
    waiting: &[Drift],
    only_if: Vec<Precondition>,
) -> Option<Task> {
    if waiting.is_empty() {
        return None;
    }
    let path = settings.config.as_str();
    // What is added comes first: sed runs no more commands on a line that it deletes, the last one too (ran).
    let added = waiting.iter().flat_map(|drift| {
        let values = drift.wanted.values.iter();
        values.map(|value| with(&drift.wanted.key, value))
    });
    let scripts = added.chain(waiting.iter().map(|drift| without(&drift.wanted.key)));
    let mut sed = vec!["sed".to_owned(), "-i".to_owned()];
    sed.extend(scripts.flat_map(|script| ["-e".to_owned(), script]));
    sed.push(path.to_owned());
    let kept = format!("{BACKUPS}{path}");
    let directory = kept.rsplit_once('/').map_or(BACKUPS, |(directory, _)| directory);
    let keep = [
        "cp",
        "--preserve=mode,ownership,timestamps",
        "--backup=numbered",
        path,
    ];
    let kept_as = format!("{kept}.as-rewritten");
    let commands = vec![
        Command::new(["install", "-d", "-m", "0700", directory]),
        Command::new(keep.into_iter().chain([kept_as.as_str()])),
        Command::new(sed),
    ];
    let keys: Vec<&str> = waiting.iter().map(|drift| drift.wanted.key.as_str()).collect();
    let shown = commands.iter().map(|command| command.argv.join(" ")).collect();
    let action = Action {
        only_if,
        operation: Operation::Run { commands },
        limit_ms: QUICK,
    };
    let title = format!("write {} into {path} again", keys.join(", "));
    let reason = "the failover makes the engine rewrite its file with what it runs with";
    let task = Task::new(member.host, title, reason, action);
    Some(task.part("config").preview(Preview::Commands(shown)))
}

/// Deletes the lines of a directive. Names are letters, digits, dots, hyphens and underscores (`settings`).
fn without(key: &str) -> String {
    format!("/^[[:space:]]*{}[[:space:]]/Id", key.replace('.', "\\."))
}

/// Adds a line at the end; sed takes a backslash for the beginning of an escape.
fn with(key: &str, value: &str) -> String {
    format!("$a\\{key} {}", value.replace('\\', "\\\\"))
}
