//! What the facts say of each host.

use formats::ssdb_conf::{place, slaveofs};
use std::net::IpAddr;

use plan::{Facts, Unknown};
use protocol::facts::{FileFact, FileQuery, ResolveQuery, SsdbFact, UnitFact, UnitQuery};
use protocol::{FileState, Text};
use types::HostName;

use crate::observe::queries;
use crate::observe::replies::{self, Info, Link};
use crate::settings::Settings;
use formats::ssdb_conf::{Conf, ConfError};
use kit::is_reached_by_none;

/// All hosts.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) nodes: Vec<Node<'a>>,
    /// The inventory's other hosts.
    pub(crate) others: Vec<Node<'a>>,
}

/// A host.
pub(crate) struct Node<'a> {
    pub(crate) host: &'a HostName,
    /// Why it cannot be reached.
    pub(crate) unreachable: Option<&'a str>,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    pub(crate) file: Result<&'a FileFact, Unknown>,
    /// What the file says; `None` where there is none.
    pub(crate) conf: Option<Result<Conf, ConfError>>,
    pub(crate) server: Server,
    /// Its own addresses, as far as they are known.
    pub(crate) addresses: Vec<String>,
    /// Whether there are data on its disk, where the inventory says that they are kept.
    has_data_dir: bool,
    /// Whether some of its peers do not reach its server, and none does.
    is_out_of_reach: bool,
    pub(crate) has_work_dir: bool,
    pub(crate) pid_file: FileState,
}

/// A server's answer.
pub(crate) enum Server {
    Up(Box<Info>),
    /// It refuses our password, with its words.
    Denied(String),
    /// It does not answer, and why.
    Down(String),
}

impl<'a> View<'a> {
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let nodes = |hosts: &'a [HostName]| {
            hosts
                .iter()
                .map(|host| Node::new(settings, host, facts))
                .collect()
        };
        Self {
            settings,
            nodes: nodes(&settings.hosts),
            others: nodes(&settings.others),
        }
    }

    pub(crate) fn node(&self, host: &HostName) -> Option<&Node<'a>> {
        self.nodes.iter().find(|node| node.host == host)
    }

    /// A host, be it a member or not.
    pub(crate) fn any(&self, host: &HostName) -> Option<&Node<'a>> {
        self.nodes
            .iter()
            .chain(&self.others)
            .find(|node| node.host == host)
    }

    /// The link of a running mirror to a peer.
    pub(crate) fn link<'i>(&self, from: &'i Info, to: &HostName) -> Option<&'i Link> {
        from.links.iter().find(|link| self.leads_to(link, to))
    }

    /// Whether a link leads to a host: by its name or address, or by the id that is its name.
    fn leads_to(&self, link: &Link, to: &HostName) -> bool {
        let (host, port) = link.at.rsplit_once(':').unwrap_or((&link.at, ""));
        port == self.settings.port.to_string() && (self.is_at(to, host) || link.id == to.as_str())
    }

    /// Whether a name or address is a host's.
    pub(crate) fn is_at(&self, host: &HostName, place: &str) -> bool {
        place == host.as_str()
            || place == self.settings.place(host)
            || self
                .any(host)
                .is_some_and(|node| node.addresses.iter().any(|own| own == place))
    }

    /// Whether a host mirrors at least one of the others, or would if it ran: it is no newcomer. Those that are about to
    /// leave are among them.
    pub(crate) fn is_mirror(&self, node: &Node<'_>) -> bool {
        let formers = self.staying().map(|former| former.host);
        let mut peers = self.settings.peers(node.host).chain(formers);
        match (&node.server, &node.conf) {
            (Server::Up(info), _) => peers.any(|peer| self.link(info, peer).is_some()),
            (_, Some(Ok(conf))) => peers.any(|peer| self.names(conf, peer)),
            _ => false,
        }
    }

    /// Whether a file has a line `slaveof` that leads to a host.
    pub(crate) fn names(&self, conf: &Conf, peer: &HostName) -> bool {
        let mut lines = slaveofs(conf).into_iter();
        lines.any(|at| self.line_leads_to(conf, at, peer))
    }

    /// Whether a line `slaveof` leads to a host.
    pub(crate) fn line_leads_to(&self, conf: &Conf, at: formats::ssdb_conf::Place, to: &HostName) -> bool {
        self.is_at(to, place(conf, at)) || conf.child(at, "id") == Some(to.as_str())
    }

    /// Whether a host serves now, as a mirror with all the data that it can have.
    pub(crate) fn serves(&self, node: &Node<'_>) -> bool {
        let Server::Up(info) = &node.server else {
            return false;
        };
        let is_alone = self.settings.hosts.len() == 1;
        let is_copying = info.links.iter().any(|link| link.status == "COPY");
        (is_alone || self.is_mirror(node)) && !is_copying && self.fell_behind(node).is_none()
    }

    /// Whether a member that answers is alone all the same: connected to none of the others that answer, as right after its
    /// start, so that it does not have what they took meanwhile; or no other host reaches it, whatever links say. One whose
    /// password the others refuse stays so, and waiting does not help.
    pub(crate) fn is_cut_off(&self, node: &Node<'_>) -> bool {
        let Server::Up(info) = &node.server else {
            return false;
        };
        let peers = self.settings.peers(node.host).filter_map(|peer| self.node(peer));
        let mut links = peers
            .filter(|peer| peer.server.up().is_some())
            .filter_map(|peer| self.link(info, peer.host))
            .peekable();
        let is_unlinked = links.peek().is_some() && links.all(|link| link.status == "DISCONNECTED");
        is_unlinked || node.is_out_of_reach
    }

    /// The running masters that a mirror copies from. One that was started anew in the middle of it sends nothing more, and
    /// the mirror notices when `recv_timeout` has passed.
    pub(crate) fn copied(&self, node: &Node<'_>) -> Vec<&'a HostName> {
        let Some(info) = node.server.up() else {
            return Vec::new();
        };
        let masters = self.nodes.iter().chain(self.staying()).filter(|master| {
            let link = self
                .link(info, master.host)
                .filter(|_| master.server.up().is_some());
            link.is_some_and(|link| link.status == "COPY")
        });
        masters.map(|master| master.host).collect()
    }

    /// The peer whose binlog no longer has the changes that this mirror needs next: only a full copy helps.
    pub(crate) fn fell_behind(&self, node: &Node<'_>) -> Option<&'a HostName> {
        let mut links = self.out_of_sync(node);
        links
            .find(|(_, master, link)| link.last_seq < master.min_seq)
            .map(|(peer, ..)| peer)
    }

    /// The change that this master must go past, because peers are out of sync with it although they lack nothing:
    /// they remember more changes of it than it made since it was rebuilt (`backend_sync.cpp`).
    pub(crate) fn is_overtaken(&self, node: &Node<'_>) -> Option<u64> {
        let info = node.server.up()?;
        let peers = self.nodes.iter().filter(|peer| peer.host != node.host);
        let positions = peers.filter_map(|peer| {
            let (_, _, link) = self.out_of_sync(peer).find(|(master, ..)| *master == node.host)?;
            (link.last_seq >= info.min_seq).then_some(link.last_seq)
        });
        positions.max()
    }

    /// The number of the last change of a host that a running peer remembers.
    pub(crate) fn remembered(&self, host: &HostName) -> u64 {
        let peers = self.nodes.iter().filter(|peer| peer.host != host);
        let links = peers.filter_map(|peer| self.link(peer.server.up()?, host));
        links.map(|link| link.last_seq).max().unwrap_or_default()
    }

    fn out_of_sync<'n>(
        &'n self,
        node: &'n Node<'_>,
    ) -> impl Iterator<Item = (&'a HostName, &'n Info, &'n Link)> {
        let info = node.server.up();
        let members = self.nodes.iter().filter(|master| master.host != node.host);
        let masters = members.chain(self.staying());
        masters.filter_map(move |master| {
            let link = self
                .link(info?, master.host)
                .filter(|link| link.status == "OUT_OF_SYNC")?;
            Some((master.host, master.server.up()?, link))
        })
    }
}

impl<'a> Node<'a> {
    fn new(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let file = facts.get(host, &queries::config(settings));
        let conf = match &file {
            Ok(fact) => fact.text().map(|text| Conf::parse(text.as_str())),
            Err(_) => None,
        };
        let is_there = |query: FileQuery| facts.get(host, &query).is_ok_and(|fact| fact.meta().is_some());
        Self {
            host,
            unreachable: facts.unreachable(host),
            unit: facts.get(host, &UnitQuery::new(&settings.unit)),
            conf,
            file,
            server: Server::read(settings, host, facts),
            addresses: addresses(settings, host, facts),
            is_out_of_reach: is_reached_by_none(facts, &queries::reach(settings, host), settings.peers(host)),
            has_data_dir: is_there(queries::data_dir(settings)),
            has_work_dir: is_there(FileQuery::meta(&settings.work_dir)),
            pid_file: facts
                .get(host, &queries::pid_file(settings))
                .map_or(FileState::Absent, FileFact::state),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    /// Whether the file was changed after the process was started.
    pub(crate) fn has_newer_file(&self) -> bool {
        match (&self.file, &self.unit) {
            (Ok(FileFact::Present(meta)), Ok(unit)) => {
                unit.started_us > 0 && meta.modified_us > unit.started_us
            }
            _ => false,
        }
    }

    /// The directory of the data: what the file says, relative to the file, or else what the inventory says.
    pub(crate) fn work_dir(&self, settings: &Settings) -> String {
        let told = self
            .conf
            .as_ref()
            .and_then(|conf| conf.as_ref().ok()?.get(&["work_dir"]));
        told.map_or_else(
            || settings.work_dir.clone(),
            |path| absolute(path, &settings.config),
        )
    }

    /// Whether it may hold data: it says so, or nothing says that it does not.
    pub(crate) fn may_hold_data(&self, settings: &Settings) -> bool {
        match &self.server {
            _ if self.unreachable.is_some() => true,
            Server::Up(info) => info.has_data.unwrap_or(true),
            Server::Denied(_) => true,
            Server::Down(_) => {
                self.is_active() || self.has_data_dir || self.work_dir(settings) != settings.work_dir
            }
        }
    }

    /// Whether its file names another password than ours, or none.
    pub(crate) fn has_other_password(&self, settings: &Settings) -> bool {
        let ours = Text::secret(&settings.password);
        let told = self
            .conf
            .as_ref()
            .and_then(|conf| conf.as_ref().ok()?.get(&["server", "auth"]));
        told != Some(ours.as_str())
    }
}

impl Server {
    /// The first of the two places at which it answers; where it does at neither, what the first one says.
    fn read(settings: &Settings, host: &HostName, facts: &Facts) -> Self {
        let mut first = None;
        for query in queries::servers(settings, host) {
            let found = match facts.get(host, &query) {
                Ok(SsdbFact::Replies {
                    asks_password,
                    replies,
                }) => {
                    let info = replies::read(settings, &query.address, *asks_password, replies);
                    return Self::Up(Box::new(info));
                }
                Ok(SsdbFact::Denied(why)) => return Self::Denied(why.clone()),
                Ok(SsdbFact::Down(why)) => Self::Down(why.clone()),
                Err(unknown) => Self::Down(unknown.to_string()),
            };
            first.get_or_insert(found);
        }
        first.unwrap_or_else(|| Self::Down("nobody asked".to_owned()))
    }

    pub(crate) fn up(&self) -> Option<&Info> {
        match self {
            Self::Up(info) => Some(info),
            _ => None,
        }
    }

    /// Why it does not answer us; `None` where it does.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self {
            Self::Up(_) => None,
            Self::Denied(why) => Some(format!("it refuses the password: {why}")),
            Self::Down(why) => Some(format!("it does not answer: {why}")),
        }
    }
}

/// A path of the file, which is relative to the file's directory.
fn absolute(path: &str, config: &str) -> String {
    if path.starts_with('/') {
        return path.trim_end_matches('/').to_owned();
    }
    let dir = config.rsplit_once('/').map_or("", |(dir, _)| dir);
    let path = path.trim_end_matches('/');
    format!("{dir}/{}", path.strip_prefix("./").unwrap_or(path))
}

fn addresses(settings: &Settings, host: &HostName, facts: &Facts) -> Vec<String> {
    let place = settings.place(host);
    if place.parse::<IpAddr>().is_ok() {
        return vec![place.to_owned()];
    }
    let query = ResolveQuery {
        name: place.to_owned(),
    };
    // The host itself knows best, except that Debian gives it 127.0.1.1; then the others do.
    let mut found: Vec<String> = Vec::new();
    for asked in std::iter::once(host).chain(settings.peers(host)) {
        for address in facts
            .get(asked, &query)
            .map(|fact| fact.addresses.as_slice())
            .unwrap_or_default()
        {
            let is_outer = address
                .parse::<IpAddr>()
                .is_ok_and(|address| !address.is_loopback() && address.is_ipv4());
            if is_outer && !found.contains(address) {
                found.push(address.clone());
            }
        }
    }
    found
}
