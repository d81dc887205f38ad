//! The quorum in a host's files.

use std::collections::BTreeMap;

use formats::xml::Element;
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
    /// Numbers and names of the voters, as the inventory names them.
    pub(crate) servers: Vec<(u32, String)>,
    /// Names that the files have for some of them, by those of the inventory: an address, or a name with its domain.
    spelled: BTreeMap<String, String>,
    /// The host's own number, where it stands by itself.
    pub(crate) own: Option<u32>,
    /// The highest number that was ever given, where a comment remembers it.
    pub(crate) mark: Option<u32>,
    /// The file that cannot be read, and why: what it names is not known.
    pub(crate) unreadable: Option<String>,
}

impl OnDisk {
    /// Whether they have a voter of that name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.servers.iter().any(|(_, server)| server == name)
    }

    /// The name that they have for a voter.
    pub(crate) fn spelling<'n>(&'n self, name: &'n str) -> &'n str {
        self.spelled.get(name).map_or(name, String::as_str)
    }

    fn with_servers(mut self, settings: &Settings, servers: Vec<(u32, String)>) -> Self {
        for (id, name) in servers {
            let ours = settings.canonical(&name);
            if ours != name {
                self.spelled.insert(ours.clone(), name);
            }
            self.servers.push((id, ours));
        }
        self
    }
}

fn text<'f>(host: &HostName, query: &FileQuery, facts: &'f Facts) -> Option<&'f str> {
    let text = facts.get(host, query).ok().and_then(FileFact::text);
    text.map(protocol::Text::as_str)
}

/// Reads a host's files. A host that is no member tells only of a quorum that it shares with members.
pub(crate) fn on_disk(
    settings: &Settings,
    host: &HostName,
    merged: Option<&Element>,
    facts: &Facts,
) -> Option<OnDisk> {
    let found = match &settings.coordination {
        Coordination::Keeper(_) => keeper(settings, host, merged, facts),
        Coordination::ZooKeeper(zookeeper) => {
            let config = text(host, &queries::zoo_cfg(zookeeper), facts);
            let myid = text(host, &queries::myid(zookeeper), facts);
            Some(seen_in_zookeeper(settings, config, myid))
        }
        Coordination::External(_) => None,
    };
    found.filter(|found| {
        settings.hosts.contains(host) || settings.hosts.iter().any(|member| found.names(member.as_str()))
    })
}

/// The files that have a host's own number.
pub(crate) fn numbers(settings: &Settings) -> Vec<FileQuery> {
    match &settings.coordination {
        Coordination::Keeper(_) => vec![config_file(settings, "keeper")],
        Coordination::ZooKeeper(zookeeper) => vec![queries::zoo_cfg(zookeeper), queries::myid(zookeeper)],
        Coordination::External(_) => Vec::new(),
    }
}

fn seen_in_zookeeper(settings: &Settings, config: Option<&str>, myid: Option<&str>) -> OnDisk {
    let servers = config.map(zoo::servers).unwrap_or_default();
    let own = myid.and_then(|text| text.trim().parse().ok());
    let seen = OnDisk {
        // Debian's package brings a myid with a sentence in it; a number without members means that they are to come.
        own: own.filter(|_| servers.is_empty()),
        mark: config.and_then(mark::read),
        ..OnDisk::default()
    };
    seen.with_servers(settings, servers)
}

/// The quorum of Keeper: in our own file, or else in any other of the server's, which it has merged. A file that cannot be
/// read is none without servers.
fn keeper(settings: &Settings, host: &HostName, merged: Option<&Element>, facts: &Facts) -> Option<OnDisk> {
    let query = config_file(settings, "keeper");
    let fact = facts.get(host, &query).ok()?;
    let text = fact.text().map(protocol::Text::as_str);
    let seen = OnDisk {
        mark: text.and_then(mark::read),
        ..OnDisk::default()
    };
    let has_keeper = |root: &&Element| root.child("keeper_server").is_some();
    let own = text.map(xml::parse).transpose();
    match (own.as_ref().map(Option::as_ref), merged.filter(has_keeper)) {
        (Ok(Some(own)), _) if has_keeper(&own) => Some(seen.with_keeper(settings, own)),
        (_, Some(merged)) => Some(seen.with_keeper(settings, merged)),
        (Err(error), None) => Some(OnDisk {
            unreadable: Some(format!("{} is not XML, {error}", query.path)),
            ..seen
        }),
        (Ok(found), None) => found.map(|_| seen),
    }
}

impl OnDisk {
    fn with_keeper(self, settings: &Settings, root: &Element) -> Self {
        let keeper = root.child("keeper_server");
        let id = |element: &Element, key: &str| element.text_at(&[key])?.parse::<u32>().ok();
        let raft = keeper.and_then(|keeper| keeper.child("raft_configuration"));
        let servers = raft.into_iter().flat_map(|raft| raft.all("server"));
        let server = |server: &Element| Some((id(server, "id")?, server.text_at(&["hostname"])?.to_owned()));
        let servers = servers.filter_map(server).collect();
        let seen = Self {
            own: keeper.and_then(|keeper| id(keeper, "server_id")),
            ..self
        };
        seen.with_servers(settings, servers)
    }
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
