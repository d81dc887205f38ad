//! The needs of a host's processes. Nothing is remembered: a process needs a restart where its live settings differ from
//! what its files say, or will say, or else where a file is newer than the process.

use protocol::facts::{FileQuery, UnitFact, UnitQuery};
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::observe::coordination::queries as coordination;
use crate::observe::coordination::voter::Conf;
use crate::observe::server::queries as server;
use crate::rules::coordination::ids::Ids;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::zookeeper_files;
use crate::rules::file_change::Stop;
use crate::rules::server::config_files;
use crate::settings::{Settings, ZooKeeper};
use kit::{Cx, Freshness, Need, Process, StepPlan, Task, Undecided};

/// The unit of a host's ClickHouse.
pub(crate) fn server_process<'a>(settings: &'a Settings, host: &'a HostName) -> Process<'a> {
    Process {
        host,
        unit: &settings.unit,
        package: &settings.package,
        reads: paths(&server_files(settings)),
    }
}

/// The unit of a host's `ZooKeeper`.
pub(crate) fn zookeeper_process<'a>(zookeeper: &'a ZooKeeper, host: &'a HostName) -> Process<'a> {
    Process {
        host,
        unit: &zookeeper.unit,
        package: &zookeeper.package,
        reads: paths(&zookeeper_files_read(zookeeper)),
    }
}

/// The files of ours that the server reads at its start only.
fn server_files(settings: &Settings) -> [FileQuery; 2] {
    ["keeper", "settings"].map(|name| server::config_file(settings, name))
}

/// The files of ours that the server takes while it runs.
pub(crate) fn files_at_run_time(settings: &Settings) -> Vec<String> {
    let files = ["clusters", "macros"].map(|name| settings.config_file(name));
    files.into_iter().chain(settings.users_file()).collect()
}

/// The files of ours that `ZooKeeper` reads at its start only.
fn zookeeper_files_read(zookeeper: &ZooKeeper) -> [FileQuery; 3] {
    [
        coordination::zoo_cfg(zookeeper),
        coordination::myid(zookeeper),
        coordination::environment(zookeeper),
    ]
}

fn paths(queries: &[FileQuery]) -> Vec<String> {
    queries.iter().map(|query| query.path.clone()).collect()
}

/// Whether an earlier step is going to start a unit, or start it again.
pub(crate) fn starts(cx: &Cx<'_>, host: &HostName, unit: &str) -> bool {
    let verbs = [UnitVerb::Start, UnitVerb::Restart];
    verbs.into_iter().any(|verb| cx.tells(host, unit, verb))
}

/// The hosts with a need; of a host whose need is not known, the plan says why.
pub(crate) fn of_each<'h>(
    hosts: impl Iterator<Item = &'h HostName>,
    plan: &mut StepPlan,
    need: impl Fn(&HostName) -> Result<Option<Need>, Undecided>,
) -> Vec<(&'h HostName, Need)> {
    let mut needs = Vec::new();
    for host in hosts {
        match need(host) {
            Ok(need) => needs.extend(need.map(|need| (host, need))),
            Err(why) => plan.unplanned.push((host.clone(), why.to_string())),
        }
    }
    needs
}

/// The need of a host's ClickHouse; `None` where it is as it should be.
pub(crate) fn server(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Option<Need>, Undecided> {
    let settings = quorum.view.settings;
    let process = server_process(settings, host);
    let unit = cx.facts.get(host, &UnitQuery::new(process.unit))?;
    let Some(written) = Stop::unless_refused(config_files::tasks(quorum, host, cx))? else {
        return Ok(None);
    };
    process.need(cx, || {
        Ok(changed_file(host, unit, &written, &server_files(settings), cx))
    })
}

/// The need of a host's `ZooKeeper`.
pub(crate) fn zookeeper(
    quorum: &Quorum<'_>,
    zookeeper: &ZooKeeper,
    host: &HostName,
    cx: &Cx<'_>,
) -> Result<Option<Need>, Undecided> {
    let process = zookeeper_process(zookeeper, host);
    let unit = cx.facts.get(host, &UnitQuery::new(process.unit))?;
    let Some(written) = Stop::unless_refused(zookeeper_files::tasks(quorum, zookeeper, host, cx))? else {
        return Ok(None);
    };
    process.need(cx, || {
        let Some(voter) = quorum.on(host) else {
            return Ok(None);
        };
        let read_at_start = zookeeper_files_read(zookeeper);
        Ok(
            changed_file(host, unit, &written, &read_at_start, cx).or_else(|| {
                let ids = Ids::find(quorum.view, &quorum.membership.voters).ok()?;
                differs(zookeeper, &ids, host, voter.conf.as_ref()?)
            }),
        )
    })
}

/// Why a process does not run with its files: one of those that it reads at its start only is written by this plan, or is
/// newer than the process.
fn changed_file(
    host: &HostName,
    unit: &UnitFact,
    written: &[Task],
    read_at_start: &[FileQuery],
    cx: &Cx<'_>,
) -> Option<String> {
    read_at_start.iter().find_map(|query| {
        let path = &query.path;
        let is_written = written.iter().filter_map(|task| task.action.as_ref()).any(
            |action| matches!(&action.operation, Operation::WriteFile { path: written, .. } if written == path),
        );
        if is_written {
            return Some(format!("it reads {path} at its start only, and that changes"));
        }
        let file = cx.facts.get(host, query).ok()?;
        let newer = Freshness::of(path, file, unit).newer();
        newer.map(|newer| format!("{path} {newer}"))
    })
}

/// How the running configuration of a `ZooKeeper` differs from its files.
fn differs(settings: &ZooKeeper, ids: &Ids, host: &HostName, conf: &Conf) -> Option<String> {
    let differs = |key: &str, want: &str| {
        let found = conf.value(key)?;
        (found != want).then(|| format!("it runs with {key}={found} instead of {want}"))
    };
    let mut live = conf.servers.clone();
    let mut want: Vec<(u32, String)> = ids.all().map(|(host, id)| (id, host.to_string())).collect();
    live.sort();
    want.sort();
    // A single voter runs standalone, without a number (`QuorumPeerConfig.isDistributed`).
    let is_alone = want.len() < 2 && live.is_empty();
    differs("clientPort", &settings.port.to_string())
        .or_else(|| differs("dataDir", &format!("{}/version-2", settings.data_dir)))
        .or_else(|| {
            let id = ids.of(host).filter(|_| !is_alone)?;
            differs("serverId", &id.to_string())
        })
        .or_else(|| {
            (live != want && !is_alone).then(|| "it runs with other members than its file has".to_owned())
        })
}
