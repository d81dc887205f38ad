//! Which processes must be started or started again, and why. Nothing is remembered: a process needs a restart where its
//! live settings differ from what its files say, or will say, or else where a file is newer than the process.

use protocol::facts::{FileQuery, UnitFact};
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::observe::queries;
use crate::observe::server as view;
use crate::rules::coordination::quorum::{Peer, Quorum};
use crate::rules::server::config::{self, Stop};
use crate::settings::{Settings, ZooKeeper};
use crate::steps::zookeeper_restart as zookeeper;
use kit::verbs_to_run;
use kit::{ASKED, Cx, Task};

/// What a unit needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    pub(crate) verbs: Vec<UnitVerb>,
    pub(crate) reason: String,
}

impl Need {
    /// Whether a process is started, as opposed to what systemd is only told for later.
    pub(crate) fn starts(&self) -> bool {
        self.verbs
            .iter()
            .any(|verb| matches!(verb, UnitVerb::Start | UnitVerb::Restart))
    }

    /// Whether a process that runs is started again.
    pub(crate) fn restarts(&self) -> bool {
        self.verbs.contains(&UnitVerb::Restart)
    }
}

/// What a host's ClickHouse needs; `None` where it is as it should be. The error says why it cannot be told.
pub(crate) fn server(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<Need>, String> {
    let unit = view::unit(settings, host, cx.facts).map_err(|unknown| unknown.to_string())?;
    let Some(written) = unless_refused(config::tasks(settings, host, cx))? else {
        return Ok(None);
    };
    let unread: Vec<FileQuery> = ["keeper", "settings"]
        .iter()
        .map(|name| queries::config_file(settings, name))
        .collect();
    let is_new = cx.installs(host, &settings.package);
    need(host, &settings.unit, unit, is_new, cx, || {
        file_reason(host, unit, &written, &unread, cx).or_else(|| asked(host, &settings.unit, cx))
    })
}

/// What a host's ZooKeeper needs.
pub(crate) fn zookeeper(
    settings: &Settings,
    zookeeper: &ZooKeeper,
    quorum: &Quorum,
    host: &HostName,
    cx: &Cx<'_>,
) -> Result<Option<Need>, String> {
    let unit = crate::rules::coordination::quorum::unit(settings, host, cx.facts);
    let unit = unit.ok_or_else(|| format!("the state of {} is not known", zookeeper.unit))?;
    let Some(written) = unless_refused(zookeeper::tasks(settings, zookeeper, host, cx))? else {
        return Ok(None);
    };
    let unread = [
        queries::zoo_cfg(zookeeper),
        queries::myid(zookeeper),
        queries::environment(zookeeper),
    ];
    let is_new = cx.installs(host, &zookeeper.package);
    need(host, &zookeeper.unit, unit, is_new, cx, || {
        let member = quorum.on(host)?;
        if let Peer::Down(why) = &member.peer {
            return Some(format!("its unit is active, and nothing answers: {why}"));
        }
        let ids = config::ids(settings, cx.facts).ok()?;
        let conf = member.conf.as_deref();
        file_reason(host, unit, &written, &unread, cx)
            .or_else(|| conf.and_then(|conf| live_reason(zookeeper, &ids, host, conf)))
            .or_else(|| asked(host, &zookeeper.unit, cx))
    })
}

/// Whether the operator asked for it.
fn asked(host: &HostName, unit: &str, cx: &Cx<'_>) -> Option<String> {
    cx.asks_restart(host, unit).then(|| ASKED.to_owned())
}

/// What is to be written; `None` where that is refused, which the step `check` has said.
fn unless_refused(tasks: Result<Vec<Task>, Stop>) -> Result<Option<Vec<Task>>, String> {
    match tasks {
        Ok(tasks) => Ok(Some(tasks)),
        Err(Stop::Unknown(unknown)) => Err(unknown.to_string()),
        Err(Stop::Refused(_) | Stop::Numbers(_)) => Ok(None),
    }
}

fn need(
    host: &HostName,
    name: &str,
    unit: &UnitFact,
    is_new: bool,
    cx: &Cx<'_>,
    reason: impl FnOnce() -> Option<String>,
) -> Result<Option<Need>, String> {
    if is_new {
        return Ok(Some(Need {
            verbs: vec![UnitVerb::Enable, UnitVerb::Restart],
            reason: "its package is installed by this plan".to_owned(),
        }));
    }
    if !unit.exists() {
        return Err(format!("there is no unit {name} on {host}"));
    }
    let mut verbs = verbs_to_run(host, name, cx.facts).map_err(|unknown| unknown.to_string())?;
    let reason = if verbs.contains(&UnitVerb::Start) {
        "it does not run".to_owned()
    } else if let Some(reason) = reason() {
        verbs.push(UnitVerb::Restart);
        reason
    } else if verbs.contains(&UnitVerb::Enable) {
        "it does not start at boot".to_owned()
    } else if verbs.is_empty() {
        return Ok(None);
    } else {
        "the unit's file was changed since systemd read it".to_owned()
    };
    Ok(Some(Need { verbs, reason }))
}

/// A file that the process read at its start only, and that is written now or was written since.
/// Whether a file was changed after the unit's process was started.
pub(crate) fn is_newer(host: &HostName, unit: &UnitFact, query: &FileQuery, cx: &Cx<'_>) -> bool {
    let fact = cx.facts.get(host, query).ok();
    let modified = fact.and_then(|fact| fact.meta()).map(|meta| meta.modified_us);
    unit.started_us > 0 && modified.is_some_and(|modified| modified > unit.started_us)
}

fn file_reason(
    host: &HostName,
    unit: &UnitFact,
    written: &[Task],
    unread: &[FileQuery],
    cx: &Cx<'_>,
) -> Option<String> {
    for query in unread {
        let path = &query.path;
        let is_written = written.iter().filter_map(|task| task.action.as_ref()).any(
            |action| matches!(&action.operation, Operation::WriteFile { path: written, .. } if written == path),
        );
        if is_written {
            return Some(format!("it reads {path} at its start only, and that changes"));
        }
        if is_newer(host, unit, query, cx) {
            return Some(format!("{path} is newer than the process"));
        }
    }
    None
}

/// What a running ZooKeeper says of itself that its files do not say.
fn live_reason(
    settings: &ZooKeeper,
    ids: &crate::rules::coordination::ids::Ids,
    host: &HostName,
    conf: &str,
) -> Option<String> {
    let differs = |key: &str, want: &str| {
        let found = formats::zoo::value(conf, key)?;
        (found != want).then(|| format!("it runs with {key}={found} instead of {want}"))
    };
    let mut live = formats::zoo::servers(conf);
    let mut want: Vec<(u32, String)> = ids.all().map(|(host, id)| (id, host.to_string())).collect();
    live.sort();
    want.sort();
    // One alone runs as no member of anything, without a number (`QuorumPeerConfig.isDistributed`).
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
