//! The quorum in a host's files.

use formats::{mark, xml, zoo};
use plan::Facts;
use protocol::facts::{FileFact, FileQuery};
use types::HostName;

use super::queries;
use crate::observe::server::queries::config_file;
use crate::settings::{Coordination, Settings};

/// The quorum in one host's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OnDisk {
    /// Numbers and names of the voters.
    pub(crate) servers: Vec<(u32, String)>,
    /// The host's own number, where only that is known.
    pub(crate) own: Option<u32>,
    /// The highest number that was ever given, where a comment remembers it.
    pub(crate) mark: Option<u32>,
}

impl OnDisk {
    /// Whether they have a voter of that name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.servers.iter().any(|(_, server)| server == name)
    }
}

fn text<'f>(host: &HostName, query: &FileQuery, facts: &'f Facts) -> Option<&'f str> {
    let text = facts.get(host, query).ok().and_then(FileFact::text);
    text.map(protocol::Text::as_str)
}

/// Reads a host's files. A host that is no member tells only of a quorum that it shares with members.
pub(crate) fn on_disk(settings: &Settings, host: &HostName, facts: &Facts) -> Option<OnDisk> {
    let found = match &settings.coordination {
        Coordination::Keeper(_) => text(host, &config_file(settings, "keeper"), facts).map(seen_in_keeper),
        Coordination::ZooKeeper(zookeeper) => {
            let config = text(host, &queries::zoo_cfg(zookeeper), facts);
            let myid = text(host, &queries::myid(zookeeper), facts);
            Some(seen_in_zookeeper(config, myid))
        }
        Coordination::External(_) => None,
    };
    found.filter(|found| {
        settings.hosts.contains(host) || settings.hosts.iter().any(|member| found.names(member.as_str()))
    })
}

fn seen_in_zookeeper(config: Option<&str>, myid: Option<&str>) -> OnDisk {
    let servers = config.map(zoo::servers).unwrap_or_default();
    let own = myid.and_then(|text| text.trim().parse().ok());
    OnDisk {
        // Debian's package brings a myid with a sentence in it; a number without members means that they are to come.
        own: own.filter(|_| servers.is_empty()),
        servers,
        mark: config.and_then(mark::read),
    }
}

/// A file that is no XML is taken for one without servers.
fn seen_in_keeper(text: &str) -> OnDisk {
    let mut seen = OnDisk {
        mark: mark::read(text),
        ..OnDisk::default()
    };
    let Ok(root) = xml::parse(text) else {
        return seen;
    };
    let raft = root
        .child("keeper_server")
        .and_then(|server| server.child("raft_configuration"));
    for server in raft.into_iter().flat_map(|raft| raft.all("server")) {
        let id = server.text_at(&["id"]).and_then(|id| id.parse().ok());
        if let (Some(id), Some(host)) = (id, server.text_at(&["hostname"])) {
            seen.servers.push((id, host.to_owned()));
        }
    }
    seen
}

/// Whether a voter was ever in a quorum, as far as its disk tells.
pub(crate) fn has_past(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    match &settings.coordination {
        Coordination::ZooKeeper(zookeeper) => {
            let epoch = text(host, &queries::epoch(zookeeper), facts).map(str::trim);
            epoch.is_some_and(|epoch| epoch != "0" && !epoch.is_empty())
        }
        Coordination::Keeper(_) => {
            let fact = facts.get(host, &queries::keeper_log(settings));
            fact.is_ok_and(|fact| fact.meta().is_some())
        }
        Coordination::External(_) => false,
    }
}
