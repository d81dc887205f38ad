//! The facts, in the words of the service.

use std::net::IpAddr;

use plan::{Facts, Unknown};
use protocol::Text;
use protocol::facts::{FileFact, RespFact, UnitFact, UnitQuery};
use types::HostName;

use crate::observe::queries;
use crate::observe::replies::{
    Engine, Fields, Sentinel, Talk, field, is_flagged_down, read_engine, read_sentinel,
};
use crate::settings::{Place, Settings};
use formats::directives::{Directives, unquoted};

/// All members as they were observed.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) members: Vec<Member<'a>>,
    /// Hosts that are no members, and may have been.
    others: Vec<Member<'a>>,
}

/// One host.
pub(crate) struct Member<'a> {
    pub(crate) host: &'a HostName,
    /// Why it cannot be reached.
    pub(crate) unreachable: Option<&'a str>,
    /// Its own address first, then others under which it is known. Empty where nothing resolves.
    pub(crate) addresses: Vec<String>,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    pub(crate) file: Result<&'a FileFact, Unknown>,
    pub(crate) engine: Talk<Engine>,
    pub(crate) sentinel_unit: Result<&'a UnitFact, Unknown>,
    pub(crate) sentinel_file: Result<&'a FileFact, Unknown>,
    pub(crate) sentinel: Talk<Sentinel>,
    /// Whether nothing stands where a packaged engine keeps its data.
    pub(crate) has_no_data_files: bool,
    /// Whether its file asks for our password.
    pub(crate) has_our_password: bool,
}

impl<'a> View<'a> {
    /// Reads the facts. What was not asked, as in a gate, counts as not known.
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let members = settings
            .hosts
            .iter()
            .map(|host| Member::new(settings, host, facts));
        let others = settings.others.iter();
        Self {
            settings,
            members: members.collect(),
            others: others.map(|host| Member::new(settings, host, facts)).collect(),
        }
    }

    /// A member, present or former, by its host.
    pub(crate) fn member(&self, host: &HostName) -> Option<&Member<'a>> {
        self.all().find(|member| member.host == host)
    }

    /// The member, present or former, that has an address, or a name that stands for one.
    pub(crate) fn at(&self, address: &str) -> Option<&Member<'a>> {
        self.all().find(|member| member.is_at(address))
    }

    fn all(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().chain(&self.others)
    }

    /// Whether a host is a member.
    pub(crate) fn is_member(&self, host: &HostName) -> bool {
        self.members.iter().any(|member| member.host == host)
    }

    /// Hosts that are no members any more: the members' sentinels know them, or they know the members.
    pub(crate) fn former(&self) -> Vec<&Member<'a>> {
        let watching = self.watching();
        let is_known = |other: &&Member<'a>| {
            watching
                .iter()
                .any(|(_, sentinel, master)| self.knows(sentinel, master, other))
        };
        let others = self.others.iter();
        others
            .filter(|other| is_known(other) || self.follows(other) || self.watches(other))
            .collect()
    }

    /// Other hosts whose sentinels watch a master of our name that is no member.
    pub(crate) fn strange_stores(&self) -> impl Iterator<Item = &Member<'a>> {
        self.others.iter().filter(|other| {
            let watched = other.sentinel.up().and_then(|sentinel| self.watched(sentinel));
            watched.is_some_and(|master| self.at(field(master, "ip")).is_some())
        })
    }

    /// Whether a sentinel knows a host, as master, replica or sentinel.
    pub(crate) fn knows(&self, sentinel: &Sentinel, master: &Fields, other: &Member<'_>) -> bool {
        let is_it = |row: &Fields, port: u16| {
            let said = field(row, "port");
            other.is_at(field(row, "ip")) && (said.is_empty() || said == port.to_string())
        };
        let mut engines = std::iter::once(master).chain(&sentinel.replicas);
        let mut sentinels = sentinel.others.iter();
        engines.any(|row| is_it(row, self.settings.port))
            || sentinels.any(|row| is_it(row, self.settings.sentinel.port))
    }

    fn follows(&self, other: &Member<'_>) -> bool {
        let engine = other.engine.up().filter(|engine| !engine.is_master());
        let port = self.settings.port.to_string();
        engine.is_some_and(|engine| {
            let followed = self.at(engine.info("master_host"));
            engine.info("master_port") == port
                && followed.is_some_and(|followed| self.is_member(followed.host))
        })
    }

    fn watches(&self, other: &Member<'_>) -> bool {
        let watched = other.sentinel.up().and_then(|sentinel| self.watched(sentinel));
        let master = watched.and_then(|master| self.at(field(master, "ip")));
        master.is_some_and(|master| self.is_member(master.host))
    }

    /// The sentinels that answer, each with its host.
    pub(crate) fn sentinels(&self) -> impl Iterator<Item = (&Member<'a>, &Sentinel)> {
        let up = |member: &'_ Member<'a>| member.sentinel.up().is_some();
        let members = self.members.iter().filter(move |member| up(member));
        members.filter_map(|member| Some((member, member.sentinel.up()?)))
    }

    /// What a sentinel knows of our master, where it knows it: a master at a loopback address is what a packaged
    /// configuration watches before it was told anything.
    pub(crate) fn watched<'s>(&self, sentinel: &'s Sentinel) -> Option<&'s Fields> {
        let name = &self.settings.sentinel.master_name;
        sentinel
            .masters
            .iter()
            .find(|master| field(master, "name") == name && !is_loopback(field(master, "ip")))
    }

    /// What our sentinels know of our master, each with its host; none that hears of nobody.
    pub(crate) fn watching(&self) -> Vec<(&Member<'a>, &Sentinel, &Fields)> {
        let mut watching = self.all_watching();
        watching.retain(|(member, ..)| !self.is_stray(member.host));
        watching
    }

    /// Whether the sentinel of a host can hear of no election any more, and most of the others know of a later one.
    /// Sentinels tell each other on the engines that they watch and on the sentinels that they know
    /// (`sentinelSendHello` in `sentinel.c`): a newcomer whose master died before it had heard of anybody watches that
    /// one for ever. It took part in no election, so it is not asked who is the master.
    pub(crate) fn is_stray(&self, host: &HostName) -> bool {
        let all = self.all_watching();
        let Some((_, sentinel, master)) = all.iter().find(|(member, ..)| member.host == host) else {
            return false;
        };
        let epoch = |master: &Fields| field(master, "config-epoch").parse().unwrap_or(0_u64);
        let address = |master: &Fields| [field(master, "ip"), field(master, "port")].map(str::to_owned);
        let mut peers = sentinel.replicas.iter().chain(&sentinel.others);
        let is_alone = is_flagged_down(master) && peers.all(is_flagged_down);
        let later = all.iter().map(|(.., theirs)| *theirs);
        let later: Vec<&Fields> = later.filter(|theirs| epoch(theirs) > epoch(master)).collect();
        let agree = later.iter().all(|theirs| address(theirs) == address(later[0]));
        is_alone && agree && later.len() * 2 > all.len()
    }

    fn all_watching(&self) -> Vec<(&Member<'a>, &Sentinel, &Fields)> {
        let watching = self
            .sentinels()
            .filter_map(|(member, sentinel)| Some((member, sentinel, self.watched(sentinel)?)));
        watching.collect()
    }
}

impl<'a> Member<'a> {
    fn new(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let unit = facts.get(host, &UnitQuery::new(&settings.unit));
        let file = facts.get(host, &queries::config(settings));
        let mut data = queries::data(settings).into_iter();
        let has_no_data_files = data.all(|query| {
            facts
                .get(host, &query)
                .is_ok_and(|fact| *fact == FileFact::Absent)
        });
        let mut member = Self {
            host,
            unreachable: facts.unreachable(host),
            addresses: addresses(settings, host, facts),
            unit,
            file,
            engine: Talk::Down("it was not asked".to_owned()),
            sentinel_unit: facts.get(host, &UnitQuery::new(&settings.sentinel.unit)),
            sentinel_file: facts.get(host, &queries::sentinel_config(settings)),
            sentinel: read_sentinel(settings, host, facts),
            has_no_data_files,
            has_our_password: false,
        };
        let ours = Text::secret(&settings.password);
        let asks =
            |directives: &Directives| directives.last("requirepass").map(unquoted) == Some(ours.as_str());
        member.has_our_password = member.directives(settings).as_ref().is_some_and(asks);
        member.engine = member.find_engine(settings, facts);
        member
    }

    /// Whether it has an address, or a name that stands for one.
    pub(crate) fn is_at(&self, address: &str) -> bool {
        self.host.as_str() == address || self.addresses.iter().any(|own| own == address)
    }

    /// Its own address.
    pub(crate) fn address(&self) -> Option<&str> {
        self.addresses.first().map(String::as_str)
    }

    /// The configuration file's directives; none where the file is not there.
    pub(crate) fn directives(&self, settings: &Settings) -> Option<Directives> {
        let text = self.file.as_ref().ok()?.text()?;
        Some(Directives::parse(text.as_str(), settings.engine.has_aliases()))
    }

    /// Sentinel's directives; none where the file is not there.
    pub(crate) fn sentinel_directives(&self) -> Option<Directives> {
        let text = self.sentinel_file.as_ref().ok()?.text()?;
        Some(Directives::parse(text.as_str(), true))
    }

    /// Whom the file makes the node follow: address and port.
    pub(crate) fn follows_by_file(&self, settings: &Settings) -> Option<(String, String)> {
        let directives = self.directives(settings)?;
        // Newer Kvrocks takes both names; the one that we write comes first.
        let value = match directives.last(settings.engine.replica_directive()) {
            Some(value) => value,
            None => directives.last("replicaof")?,
        };
        let mut words = unquoted(value).split_whitespace();
        let (host, port) = (words.next()?, words.next()?);
        // `slaveof "no one"` is how Kvrocks writes that a node is a master (seen).
        (!host.eq_ignore_ascii_case("no")).then(|| (host.to_owned(), port.to_owned()))
    }

    /// Whether the engine's configuration was changed after its process was started.
    pub(crate) fn has_newer_file(&self) -> bool {
        newer(&self.file, &self.unit)
    }

    /// Whether the engine refuses our password, and its file gives no hope that a restart would change that.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.engine, Talk::Denied(_)) && !(self.has_newer_file() && self.has_our_password)
    }

    /// Whether the engine's unit runs.
    pub(crate) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    fn find_engine(&self, settings: &Settings, facts: &Facts) -> Talk<Engine> {
        let mut why = "it was not asked".to_owned();
        for (at, query) in queries::engines(settings, self.host).into_iter().enumerate() {
            // Whoever answers at the engine's default port is ours only if our file says so, or said so when the
            // process was started.
            if query.port != settings.port && !self.may_listen_at(query.port, settings) {
                continue;
            }
            match facts.get(self.host, &query) {
                Ok(RespFact::Replies {
                    authenticated,
                    replies,
                }) => {
                    let at = (query.address.clone(), query.port);
                    return Talk::Up(read_engine(settings, at, *authenticated, replies));
                }
                Ok(RespFact::Denied(words)) => return Talk::Denied(words.clone()),
                Ok(RespFact::Down(words)) if at == 0 => why.clone_from(words),
                Err(unknown) if at == 0 => why = unknown.to_string(),
                Ok(RespFact::Down(_)) | Err(_) => {}
            }
        }
        Talk::Down(why)
    }

    fn may_listen_at(&self, port: u16, settings: &Settings) -> bool {
        let Ok(file) = &self.file else {
            return false;
        };
        if file.meta().is_none() || (self.is_active() && self.has_newer_file()) {
            return true;
        }
        let directives = self.directives(settings);
        let said = directives.as_ref().and_then(|directives| directives.last("port"));
        said.is_none_or(|said| unquoted(said) == port.to_string())
    }
}

/// Whether a file was changed after a unit's process was started.
pub(crate) fn newer(file: &Result<&FileFact, Unknown>, unit: &Result<&UnitFact, Unknown>) -> bool {
    match (file, unit) {
        (Ok(FileFact::Present(meta)), Ok(unit)) => meta.modified_us > unit.started_us,
        _ => false,
    }
}

/// The master's address and port in a sentinel's file; `None` where the file does not name our master, or names one
/// at a loopback address as a packaged file does.
pub(crate) fn monitored_by_file(directives: &Directives, name: &str) -> Option<(String, String)> {
    let line = directives.after(&["sentinel", "monitor", name]).pop()?;
    let mut words = line.split_whitespace().map(unquoted);
    let (address, port) = (words.next()?, words.next()?);
    (!is_loopback(address)).then(|| (address.to_owned(), port.to_owned()))
}

pub(crate) fn is_loopback(address: &str) -> bool {
    address == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn addresses(settings: &Settings, host: &HostName, facts: &Facts) -> Vec<String> {
    let name = match settings.place(host) {
        Some(Place::Address(address)) => return vec![address.clone()],
        Some(Place::Name(name)) => name,
        None => return Vec::new(),
    };
    let query = protocol::facts::ResolveQuery { name: name.clone() };
    // The host itself knows best, except that Debian gives it 127.0.1.1; then the others do.
    let asked = std::iter::once(host).chain(settings.hosts.iter().filter(|other| *other != host));
    let mut found: Vec<String> = Vec::new();
    for asked in asked {
        let answers = facts.get(asked, &query).map(|fact| fact.addresses.as_slice());
        let mut answers: Vec<&String> = answers.unwrap_or_default().iter().collect();
        answers.retain(|address| {
            address
                .parse::<IpAddr>()
                .is_ok_and(|address| !address.is_loopback() && !is_link_local(address))
        });
        // The runbook's addresses are IPv4; where a name has both, that is what the members are told.
        answers.sort_by_key(|address| address.contains(':'));
        for address in answers {
            if !found.contains(address) {
                found.push(address.clone());
            }
        }
    }
    if !found.is_empty() {
        found.push(name.clone());
    }
    found
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
