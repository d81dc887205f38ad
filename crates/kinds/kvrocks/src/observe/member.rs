//! One host of the service.

use std::net::IpAddr;

use plan::{Facts, Unknown};
use protocol::Text;
use protocol::facts::{FileFact, RespFact, RespQuery, SilenceKind, UnitFact, UnitQuery};
use types::HostName;

use super::addresses::{addresses, is_loopback};
use super::engine::{Endpoint, Engine};
use super::queries;
use super::sentinel::Sentinel;
use crate::settings::Settings;
use formats::directives::{Directives, unquoted};
use formats::engine::Engine as Kind;
use kit::{Freshness, Newer, Probe};

/// One host of the service, or one that may have been.
pub(crate) struct Member<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) host: &'a HostName,
    /// Why it cannot be reached.
    pub(crate) unreachable: Option<&'a str>,
    /// Its own address first, then others under which it is known. Empty where nothing resolves.
    pub(crate) addresses: Vec<String>,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    pub(crate) file: Result<&'a FileFact, Unknown>,
    /// The file that is laid over its unit; `None` where there is to be none.
    drop_in: Option<Result<&'a FileFact, Unknown>>,
    /// The directives of its file; `None` where there is no file.
    pub(crate) directives: Option<Directives>,
    pub(crate) engine: Probe<Engine>,
    /// Whether somebody speaks another protocol on the engine's port, TLS perhaps: waiting changes nothing.
    pub(crate) has_foreign_engine: bool,
    pub(crate) sentinel_unit: Result<&'a UnitFact, Unknown>,
    /// The link of its sentinel's alias; `None` where no other unit has that.
    sentinel_alias: Option<Result<&'a FileFact, Unknown>>,
    sentinel_file: Result<&'a FileFact, Unknown>,
    /// The directives of its sentinel's file; `None` where there is no file.
    pub(crate) sentinel_directives: Option<Directives>,
    pub(crate) sentinel: Probe<Sentinel>,
    /// The same on the sentinel's port.
    pub(crate) has_foreign_sentinel: bool,
    /// Whether nothing exists where a packaged engine keeps its data.
    pub(crate) has_no_data_files: bool,
}

impl<'a> Member<'a> {
    pub(super) fn observe(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let mut data = queries::data(settings).into_iter();
        let is_foreign = |query: &RespQuery| {
            let answer = facts.get(host, query);
            matches!(answer, Ok(RespFact::Down(silence)) if silence.kind == SilenceKind::Foreign)
        };
        let is_absent = |fact: &FileFact| *fact == FileFact::Absent;
        let file = facts.get(host, &queries::config(settings));
        let sentinel_file = facts.get(host, &queries::sentinel_config(settings));
        let mut member = Self {
            settings,
            host,
            unreachable: facts.unreachable(host),
            addresses: addresses(settings, host, facts),
            unit: facts.get(host, &UnitQuery::new(&settings.unit)),
            directives: directives(&file, settings.engine),
            file,
            drop_in: queries::drop_in(settings).map(|[_, file]| facts.get(host, &file)),
            engine: Probe::Unknown("it was not asked".to_owned()),
            has_foreign_engine: queries::engines(settings, host).first().is_some_and(is_foreign),
            sentinel_unit: facts.get(host, &UnitQuery::new(&settings.sentinel.unit)),
            sentinel_alias: queries::sentinel_alias(settings).map(|query| facts.get(host, &query)),
            sentinel_directives: directives(&sentinel_file, Kind::Redis),
            sentinel_file,
            sentinel: Probe::Unknown("it was not asked".to_owned()),
            has_foreign_sentinel: is_foreign(&queries::sentinel(settings)),
            has_no_data_files: data.all(|query| facts.get(host, &query).is_ok_and(is_absent)),
        };
        member.engine = member.find_engine(facts);
        member.sentinel = Sentinel::ask(settings, host, &member.sentinel_unit, facts);
        member
    }

    /// Whether this is one of its addresses, or a name that stands for one.
    pub(crate) fn is_at(&self, address: &str) -> bool {
        self.host.as_str() == address || self.addresses.iter().any(|own| own == address)
    }

    /// Its own address.
    pub(crate) fn address(&self) -> Option<&str> {
        self.addresses.first().map(String::as_str)
    }

    /// The master that its file makes it follow.
    pub(crate) fn follows_by_file(&self) -> Option<Endpoint> {
        let directives = self.directives.as_ref()?;
        // Newer Kvrocks takes both names; the one that we write comes first.
        let value = match directives.last(self.settings.engine.replica_directive()) {
            Some(value) => value,
            None => directives.last("replicaof")?,
        };
        let endpoint = endpoint(unquoted(value))?;
        // `slaveof "no one"` is how Kvrocks writes that a node is a master (seen).
        (!endpoint.address.eq_ignore_ascii_case("no")).then_some(endpoint)
    }

    /// The master that its sentinel's file names; `None` where the file does not name our master, or names one at a
    /// loopback address as a packaged file does.
    pub(crate) fn monitors_by_file(&self) -> Option<Endpoint> {
        let name = self.settings.sentinel.master_name.as_str();
        let directives = self.sentinel_directives.as_ref()?;
        let endpoint = endpoint(directives.after(&["sentinel", "monitor", name]).pop()?)?;
        (!is_loopback(&endpoint.address)).then_some(endpoint)
    }

    /// The name by which its sentinel's file has it watch the master, where Sentinel would not start with a name: since 6.2 it
    /// ends with "Can't resolve instance hostname." (ran: 7.0) unless it is told to resolve names.
    pub(crate) fn master_by_name(&self) -> Option<Endpoint> {
        let directives = self.sentinel_directives.as_ref()?;
        let resolves = directives.after(&["sentinel", "resolve-hostnames"]).pop();
        let takes_names = resolves.is_some_and(|value| unquoted(value).eq_ignore_ascii_case("yes"));
        let is_name = |endpoint: &Endpoint| endpoint.address.parse::<IpAddr>().is_err();
        self.monitors_by_file()
            .filter(|endpoint| !takes_names && is_name(endpoint))
    }

    /// Whether the engine's file was changed after its process was started.
    pub(crate) fn has_newer_file(&self) -> bool {
        self.newer_file().is_some()
    }

    /// Why the engine's file counts as newer than its process; `None` where it does not.
    pub(crate) fn newer_file(&self) -> Option<Newer> {
        let (file, unit) = (self.file.as_ref().ok()?, self.unit.as_ref().ok()?);
        Freshness::of(&self.settings.config, file, unit).newer()
    }

    /// Whether its process was started with the umask that is laid over its unit: else CONFIG REWRITE leaves the engine's file
    /// readable by everybody.
    pub(crate) fn has_umask(&self) -> bool {
        let Some((_, path)) = self.settings.drop_in() else {
            return true;
        };
        let (Some(Ok(file)), Ok(unit)) = (&self.drop_in, &self.unit) else {
            return false;
        };
        Freshness::of(&path, file, unit) == Freshness::Same
    }

    /// Whether the sentinel's file was changed after its process was started.
    pub(crate) fn has_newer_sentinel_file(&self) -> bool {
        let config = self.settings.sentinel.config.as_str();
        matches!(
            (&self.sentinel_file, &self.sentinel_unit),
            (Ok(file), Ok(unit)) if Freshness::of(config, file, unit).newer().is_some()
        )
    }

    /// Whether the other unit of its sentinel's alias is enabled.
    pub(crate) fn has_rival_sentinel(&self) -> bool {
        let Some(Ok(FileFact::Present(link))) = &self.sentinel_alias else {
            return false;
        };
        let unit = link.target.rsplit('/').next();
        unit.is_some_and(|unit| self.settings.rival_sentinel() == Some(unit))
    }

    /// Whether our password is the value of a directive of its file.
    pub(crate) fn has_our_password(&self, key: &str) -> bool {
        let directives = self.directives.as_ref();
        let said = directives.and_then(|directives| directives.last(key));
        said.map(unquoted) == Some(Text::secret(&self.settings.password).as_str())
    }

    /// The words in which the engine refuses our password, where its file gives no hope that a restart changes that.
    pub(crate) fn denial(&self) -> Option<&str> {
        match &self.engine {
            Probe::Denied(words) if !(self.has_newer_file() && self.has_our_password("requirepass")) => {
                Some(words)
            }
            _ => None,
        }
    }

    /// Where its file has it listen, in the file's words; empty where it does not say.
    pub(crate) fn listens_by_file(&self) -> Vec<String> {
        let said = |key: &&str| Some(format!("{key} {}", self.directives.as_ref()?.last(key)?));
        let keys = ["port", "tls-port", "unixsocket", "bind"];
        keys.iter().filter_map(said).collect()
    }

    /// Whether the engine's unit runs.
    pub(crate) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    /// The engine at the first place where somebody speaks its protocol; else what became of the question at the first one.
    fn find_engine(&self, facts: &Facts) -> Probe<Engine> {
        let mut first = None;
        for query in queries::engines(self.settings, self.host) {
            // An engine at the default port is ours only if our file says so, or said so when the process was started.
            if query.port != self.settings.port && !self.may_listen_at(query.port) {
                continue;
            }
            let found = match facts.get(self.host, &query) {
                Ok(RespFact::Replies {
                    authenticated,
                    replies,
                }) => {
                    let at = (query.address.clone(), query.port);
                    return match Engine::read(self.settings, at, *authenticated, replies) {
                        Ok(engine) => Probe::Up(engine),
                        Err(why) => Probe::Unknown(why),
                    };
                }
                Ok(RespFact::Denied(words)) => return Probe::Denied(words.clone()),
                Ok(RespFact::Down(silence)) => Probe::silent(&self.unit, silence),
                Err(unknown) => Probe::Unknown(unknown.to_string()),
            };
            first.get_or_insert(found);
        }
        first.unwrap_or_else(|| Probe::Unknown("it was not asked".to_owned()))
    }

    fn may_listen_at(&self, port: u16) -> bool {
        let Ok(file) = &self.file else {
            return false;
        };
        if file.meta().is_none() || (self.is_active() && self.has_newer_file()) {
            return true;
        }
        let directives = self.directives.as_ref();
        let said = directives.and_then(|directives| directives.last("port"));
        said.is_none_or(|said| unquoted(said) == port.to_string())
    }
}

impl kit::Member for Member<'_> {
    fn host(&self) -> &HostName {
        self.host
    }
}

fn directives(file: &Result<&FileFact, Unknown>, engine: Kind) -> Option<Directives> {
    let text = file.as_ref().ok()?.text()?;
    Some(Directives::parse(text.as_str(), engine))
}

/// The endpoint that a directive begins with: `10.0.0.1 6666 2`.
fn endpoint(value: &str) -> Option<Endpoint> {
    let mut words = value.split_whitespace().map(|word| unquoted(word).to_owned());
    Some(Endpoint {
        address: words.next()?,
        port: words.next()?,
    })
}
