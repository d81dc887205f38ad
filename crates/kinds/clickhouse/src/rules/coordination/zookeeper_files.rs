//! The files that a host's `ZooKeeper` needs.

use formats::zoo::value;
use plan::{Facts, Refusal, Unknown};
use protocol::facts::{FileFact, FileKind, FileQuery};
use protocol::{FileState, Text};
use types::HostName;

use super::ids::Ids;
use super::quorum::Quorum;
use super::{rejoin, zoo_cfg};
use crate::observe::coordination::queries;
use crate::rules::file_change::{FileChange, Stop};
use crate::settings::ZooKeeper;
use kit::{Cx, Task};

/// The tasks that write a host's files.
pub(crate) fn tasks(
    quorum: &Quorum<'_>,
    zookeeper: &ZooKeeper,
    host: &HostName,
    cx: &Cx<'_>,
) -> Result<Vec<Task>, Stop> {
    let installs = cx.installs(host, &zookeeper.package);
    let write = |query: &FileQuery, wanted: String| write(host, query, wanted, installs, cx.facts);
    let mut tasks = Vec::new();
    let query = queries::zoo_cfg(zookeeper);
    let found = text(host, &query, cx.facts)?;
    let (wanted, ids) = config(quorum, zookeeper, host, found)?;
    tasks.extend(write(&query, wanted)?.map(|task| task.part("zoo.cfg")));
    if let Some(id) = ids.of(host) {
        let query = myid(zookeeper, host, installs, cx.facts)?;
        if text(host, &query, cx.facts)?.trim() != id.to_string() {
            tasks.extend(write(&query, format!("{id}\n"))?.map(|task| task.part("myid")));
        }
    }
    if let Some(heap) = &zookeeper.heap {
        let query = queries::environment(zookeeper);
        let wanted = formats::zoo::environment(text(host, &query, cx.facts)?, heap);
        tasks.extend(write(&query, wanted)?.map(|task| task.part("environment")));
    }
    Ok(tasks)
}

/// The zoo.cfg of a host as it should be, made of the one that is there; and the numbers of the voters in it.
pub(crate) fn config(
    quorum: &Quorum<'_>,
    zookeeper: &ZooKeeper,
    host: &HostName,
    found: &str,
) -> Result<(String, Ids), Stop> {
    let instead = rejoin::voters(quorum, host);
    let voters = instead.as_ref().unwrap_or(&quorum.membership.voters);
    let ids = Ids::find(quorum.view, voters)?;
    let member = quorum.view.member(host);
    let files = member.and_then(|member| member.on_disk.as_ref());
    // Its data are where its own file says, and a quorum that began elsewhere would be without them.
    let data = value(found, "dataDir").filter(|data| *data != zookeeper.data_dir);
    if let Some(data) = data.filter(|_| files.is_some_and(|files| !files.servers.is_empty())) {
        let refusal = Refusal::new(
            format!("the ZooKeeper on {host} does not get another data directory"),
            format!(
                "it is one of a quorum, and its data are in {data} instead of {}",
                zookeeper.data_dir
            ),
            format!("set zookeeper = {{ data_dir = \"{data}\" }} in the inventory"),
        );
        return Err(refusal.on(host).into());
    }
    Ok((zoo_cfg::config(zookeeper, voters, &ids, files, found), ids))
}

/// The file that holds the voter's number: Debian's package links it into its configuration.
fn myid(zookeeper: &ZooKeeper, host: &HostName, installs: bool, facts: &Facts) -> Result<FileQuery, Unknown> {
    let in_data = queries::data_myid(zookeeper);
    let meta = facts.get(host, &in_data)?.meta();
    Ok(match meta.map(|meta| meta.kind) {
        Some(FileKind::Link) => queries::myid(zookeeper),
        None if installs => queries::myid(zookeeper),
        _ => in_data,
    })
}

fn text<'f>(host: &HostName, query: &FileQuery, facts: &'f Facts) -> Result<&'f str, Unknown> {
    Ok(facts.get(host, query)?.text().map_or("", Text::as_str))
}

fn write(
    host: &HostName,
    query: &FileQuery,
    wanted: String,
    installs: bool,
    facts: &Facts,
) -> Result<Option<Task>, Unknown> {
    let fact = facts.get(host, query)?;
    let wanted = Text::new(wanted);
    if fact.text() == Some(&wanted) {
        return Ok(None);
    }
    let (verb, reason) = match fact {
        FileFact::Absent => ("create", "it is missing"),
        FileFact::Present(_) => ("change", "its content differs"),
    };
    // The package brings a file of its own, which ours is not made from.
    let was = if installs { FileState::Any } else { fact.state() };
    let before = fact.text().cloned();
    let change = FileChange::of_text(&query.path, fact.meta(), before, wanted, was);
    Ok(Some(change.task(host, verb, reason)))
}
