//! The view: what the facts say of each host.

use std::net::IpAddr;

use plan::{Facts, Unknown};
use protocol::facts::{FileFact, FileQuery, ResolveQuery, SsdbFact, SsdbReply, UnitFact, UnitQuery};
use protocol::{FileState, Text};
use types::HostName;

use super::queries;
use super::replies::{self, Info};
use crate::settings::Settings;
use formats::ssdb_conf::{Conf, ConfError};
use kit::{Freshness, Members, Newer, Probe, Process, is_reached_by_none};

/// All hosts: the members, and the inventory's other hosts, which may be former members.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) hosts: Members<Member<'a>>,
}

/// A host.
pub(crate) struct Member<'a> {
    pub(crate) host: &'a HostName,
    /// Why it cannot be reached.
    pub(crate) unreachable: Option<&'a str>,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    config: &'a str,
    pub(crate) file: Result<&'a FileFact, Unknown>,
    /// What the file says; `None` where there is none.
    pub(crate) conf: Option<Result<Conf, ConfError>>,
    pub(crate) server: Probe<Info>,
    /// Its own addresses, as far as they are known.
    pub(crate) addresses: Vec<String>,
    /// Whether there are, or may be, data on its disk, where the inventory says that they are kept.
    may_have_data_dir: bool,
    /// Whether some of its peers do not reach its server, and none does.
    pub(crate) is_out_of_reach: bool,
    pub(crate) has_work_dir: bool,
    pub(crate) pid_file: FileState,
}

impl<'a> View<'a> {
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let observe = |host| Member::new(settings, host, facts);
        Self {
            settings,
            hosts: Members::observe(&settings.hosts, &settings.others, observe),
        }
    }

    /// Members on these hosts, in this order.
    pub(crate) fn on<'v>(&'v self, hosts: &'v [HostName]) -> impl Iterator<Item = &'v Member<'a>> {
        hosts.iter().filter_map(|host| self.hosts.listed(host))
    }
}

impl kit::Member for Member<'_> {
    fn host(&self) -> &HostName {
        self.host
    }
}

impl<'a> Member<'a> {
    fn new(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let file = facts.get(host, &queries::config(settings));
        let text = file.as_ref().ok().and_then(|file: &&FileFact| file.text());
        let exists = |query: FileQuery| facts.get(host, &query).is_ok_and(|fact| fact.meta().is_some());
        let unit = facts.get(host, &UnitQuery::new(&settings.unit));
        Self {
            host,
            unreachable: facts.unreachable(host),
            conf: text.map(|text| Conf::parse(text.as_str())),
            config: &settings.config,
            file,
            server: server(settings, host, &unit, facts),
            unit,
            addresses: addresses(settings, host, facts),
            is_out_of_reach: is_reached_by_none(facts, &queries::reach(settings, host), settings.peers(host)),
            may_have_data_dir: !facts
                .get(host, &queries::data_dir(settings))
                .is_ok_and(|fact| *fact == FileFact::Absent),
            has_work_dir: exists(FileQuery::meta(&settings.work_dir)),
            pid_file: facts
                .get(host, &queries::pid_file(settings))
                .map_or(FileState::Absent, FileFact::state),
        }
    }

    /// The file, where it is one that the server can read.
    pub(crate) fn conf(&self) -> Option<&Conf> {
        self.conf.as_ref()?.as_ref().ok()
    }

    /// The process of its unit, which comes in no package.
    pub(crate) fn process(&self, settings: &'a Settings) -> Process<'a> {
        Process {
            host: self.host,
            unit: &settings.unit,
            package: "",
            reads: vec![settings.config.clone()],
        }
    }

    /// Why its server does not answer us, for people; `None` where it does.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.server {
            Probe::Up(_) => None,
            Probe::Denied(why) => Some(format!("it refuses the password: {why}")),
            Probe::Down(why) | Probe::Unknown(why) => Some(format!("it does not answer: {why}")),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    /// Whether the file was changed after the process was started.
    pub(crate) fn has_newer_file(&self) -> bool {
        self.newer_file().is_some()
    }

    /// Why the file counts as newer than the process; `None` where it does not.
    pub(crate) fn newer_file(&self) -> Option<Newer> {
        let (file, unit) = (self.file.as_ref().ok()?, self.unit.as_ref().ok()?);
        Freshness::of(self.config, file, unit).newer()
    }

    /// The directory of the data: what the file says, relative to the file, or else what the inventory says.
    pub(crate) fn work_dir(&self, settings: &Settings) -> String {
        let told = self.conf().and_then(|conf| conf.get(&["work_dir"]));
        told.map_or_else(
            || settings.work_dir.clone(),
            |path| absolute(path, &settings.config),
        )
    }

    /// Whether it may hold data: it says so, or nothing says that it does not.
    pub(crate) fn may_hold_data(&self, settings: &Settings) -> bool {
        match &self.server {
            _ if self.unreachable.is_some() => true,
            Probe::Up(info) => info.has_data.unwrap_or(true),
            Probe::Denied(_) | Probe::Unknown(_) => true,
            // A file that cannot be read may name another directory.
            Probe::Down(_) => {
                let is_read =
                    self.file.as_ref().is_ok_and(|file| file.meta().is_none()) || self.conf().is_some();
                !is_read || self.may_have_data_dir || self.work_dir(settings) != settings.work_dir
            }
        }
    }

    /// Whether its file names another password than ours, or none.
    pub(crate) fn has_other_password(&self, settings: &Settings) -> bool {
        let ours = Text::secret(&settings.password);
        let told = self.conf().and_then(|conf| conf.get(&["server", "auth"]));
        told != Some(ours.as_str())
    }
}

/// The server's answer at the first of the two places at which it gives one; else what became of the second, which is all
/// addresses of its host.
fn server(
    settings: &Settings,
    host: &HostName,
    unit: &Result<&UnitFact, Unknown>,
    facts: &Facts,
) -> Probe<Info> {
    let mut probe = Probe::Unknown("nobody asked".to_owned());
    for query in queries::servers(settings, host) {
        probe = match facts.get(host, &query) {
            Ok(SsdbFact::Replies {
                asks_password,
                replies,
            }) => {
                let info = replies::read(settings, &query.address, *asks_password, replies);
                return match replies.first() {
                    Some(reply) if reply.is_ok() && !info.version.is_empty() => Probe::Up(info),
                    other => Probe::Unknown(format!("it does not tell of itself: {}", status(other))),
                };
            }
            Ok(SsdbFact::Denied(why)) => return Probe::Denied(why.clone()),
            Ok(SsdbFact::Down(silence)) => Probe::silent(unit, silence),
            Err(unknown) => Probe::Unknown(unknown.to_string()),
        };
    }
    probe
}

/// How a reply ended, in the server's word.
fn status(reply: Option<&SsdbReply>) -> &str {
    reply.map_or("no reply", |reply| reply.status.as_str())
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
