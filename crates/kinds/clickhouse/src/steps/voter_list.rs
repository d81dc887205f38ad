//! The list of voters in a running voter's file, and the restart that reads it.

use plan::Unknown;
use protocol::facts::FileFact;
use protocol::facts::FileQuery;
use protocol::{FileState, Text, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::coordination::queries::zoo_cfg;
use crate::observe::server::queries::config_file;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::zookeeper_files;
use crate::rules::file_change::{FileChange, Stop};
use crate::rules::need::{server_process, zookeeper_process};
use crate::rules::server::config_files;
use crate::rules::server::own_file::says_the_same;
use kit::{Cx, Task, hash};

/// The task that writes the voters of the membership into a voter's file; `None` where it has them, or will have. What
/// earlier steps write into the file is what it is made from.
pub(super) fn write(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, Stop> {
    let settings = quorum.view.settings;
    let Some(zookeeper) = settings.zookeeper() else {
        let wanted = config_files::keeper(quorum, host)?;
        let query = config_file(settings, "keeper");
        let (found, was) = latest(host, &query, cx)?;
        let is_same = |found: &Text| says_the_same(settings, found.as_str(), wanted.as_str());
        let is_other = !found.as_ref().is_some_and(is_same);
        return Ok(is_other.then(|| {
            let task = task(host, &query, found.unwrap_or_default(), wanted, was, cx);
            task.part("second.keeper")
        }));
    };
    let query = zoo_cfg(zookeeper);
    let (found, was) = latest(host, &query, cx)?;
    let found = found.unwrap_or_default();
    let (wanted, _) = zookeeper_files::config(quorum, zookeeper, host, found.as_str())?;
    let wanted = Text::new(wanted);
    Ok((wanted != found).then(|| {
        let task = task(host, &query, found, wanted, was, cx);
        task.part("second.zoo.cfg")
    }))
}

/// The text of a file when this step runs: what an earlier one wrote, or what was found.
fn latest(host: &HostName, query: &FileQuery, cx: &Cx<'_>) -> Result<(Option<Text>, FileState), Unknown> {
    if let Some(text) = cx.text_to_come(host, &query.path) {
        let was = hash(text).map_or(FileState::Any, FileState::Hash);
        return Ok((Some(text.clone()), was));
    }
    let fact = cx.facts.get(host, query)?;
    Ok((fact.text().cloned(), fact.state()))
}

fn task(host: &HostName, query: &FileQuery, found: Text, text: Text, was: FileState, cx: &Cx<'_>) -> Task {
    let meta = cx.facts.get(host, query).ok().and_then(FileFact::meta);
    let change = FileChange::of_text(&query.path, meta, Some(found), text, was);
    change.task(
        host,
        "change",
        "a member leaves, now that all others are in the quorum",
    )
}

/// The restart of a voter, while the quorum can spare it.
pub(super) fn restart(quorum: &Quorum<'_>, host: &HostName, reason: &str, cx: &Cx<'_>) -> Task {
    let settings = quorum.view.settings;
    let process = match settings.zookeeper() {
        Some(zookeeper) => zookeeper_process(zookeeper, host),
        None => server_process(settings, host),
    };
    let task = process.tell(&[UnitVerb::Restart], reason).disrupting(true);
    checks::guarded(task, settings, false, cx)
}
