//! The facts, in the words of the service.

use std::collections::BTreeSet;

use plan::{Facts, Unknown};
use protocol::facts::{Bson, FileFact, Login, MongoError, MongoFact, MongoUser, UnitFact, UnitQuery};
use types::HostName;

use crate::observe::queries::{self, ASKED, Ask};
use crate::settings::Settings;
use formats::mongod_conf::{BadConf, Conf};
use formats::replset::SetConfig;
use kit::Cx;

/// All hosts as they were observed.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) nodes: Vec<Node<'a>>,
    /// Hosts that the inventory does not list for the set.
    pub(crate) others: Vec<Node<'a>>,
}

/// One host.
pub(crate) struct Node<'a> {
    pub(crate) host: &'a HostName,
    pub(crate) unreachable: Option<&'a str>,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    pub(crate) file: Result<&'a FileFact, Unknown>,
    lock: Result<&'a FileFact, Unknown>,
    /// The file that was written when its database was made.
    pub(crate) made: Result<&'a FileFact, Unknown>,
    /// The key file, where there is one to manage.
    pub(crate) keyfile: Option<Result<&'a FileFact, Unknown>>,
    pub(crate) server: Server,
    /// The version of the installed program, where it was asked for.
    installed: Option<(u32, u32)>,
}

/// A server, as far as it answers.
pub(crate) enum Server {
    /// Nobody asked, or nobody could.
    Unknown(String),
    /// Nobody listens, and why.
    Down(String),
    /// It refuses the admin for another reason than that there is none.
    Denied(MongoError),
    /// It answers.
    Up(Box<Up>),
}

/// A server that answers.
pub(crate) struct Up {
    pub(crate) port: u16,
    pub(crate) login: Login,
    replies: Vec<Result<Bson, MongoError>>,
}

/// Where a server belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It does not replicate (code 76).
    Standalone,
    /// It waits for a set's configuration (code 94).
    Blank,
    /// It is a member of the inventory's set.
    Member,
    /// It is a member of the set of that name.
    Foreign(String),
    /// It was taken out of its set (code 93).
    Removed(String),
    /// It lets nobody look, or says something else.
    Hidden(MongoError),
}

/// Whether a host's server can be told something in this run.
pub(crate) fn is_reached(host: &HostName, cx: &Cx<'_>) -> bool {
    cx.hosts.contains(host) || cx.others.contains(host)
}

/// States of members (<https://www.mongodb.com/docs/manual/reference/replica-states/>).
pub(crate) const PRIMARY: i64 = 1;
pub(crate) const SECONDARY: i64 = 2;
const ARBITER: i64 = 7;

/// What another member says of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) state: i64,
    pub(crate) words: String,
    pub(crate) is_healthy: bool,
    /// The time of its latest change, milliseconds since 1970; `None` for arbiters and those that are down.
    pub(crate) at_ms: Option<i64>,
    pub(crate) message: String,
}

impl<'a> View<'a> {
    /// Reads the facts. What was not asked, as in a gate, counts as not known.
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let node = |host: &'a HostName| Node::new(settings, host, facts);
        Self {
            settings,
            nodes: settings.hosts.iter().map(node).collect(),
            others: settings.others.iter().map(node).collect(),
        }
    }

    /// A host by its name.
    pub(crate) fn node(&self, host: &HostName) -> Option<&Node<'a>> {
        self.nodes.iter().find(|node| node.host == host)
    }

    /// The servers that are members of the set, whether the inventory lists them or not.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Node<'a>, &Up)> {
        let set = &self.settings.replica_set;
        let up = self.nodes.iter().chain(self.formers());
        let up = up.filter_map(|node| Some((node, node.server.up()?)));
        up.filter(move |(_, up)| up.place(set) == Place::Member)
    }

    /// What tells the set from others of its name, as a host of the inventory knows it.
    fn set_id(&self) -> Option<Bson> {
        let set = &self.settings.replica_set;
        let mut up = self.nodes.iter().filter_map(|node| node.server.up());
        up.find_map(|up| match up.place(set) {
            Place::Member => up.config()?.set_id().cloned(),
            _ => None,
        })
    }

    /// Hosts that the inventory does not list, and whose servers are or were in this very set.
    pub(crate) fn formers(&self) -> impl Iterator<Item = &Node<'a>> {
        let ours = self.set_id();
        let is_ours = move |node: &&Node<'a>| {
            let id = node.server.up().and_then(|up| up.config()?.set_id().cloned());
            ours.is_some() && id == ours
        };
        self.others.iter().filter(is_ours)
    }

    /// The primary. Where two claim to be it, for an old one takes a while to notice, the one of the later term.
    pub(crate) fn primary(&self) -> Option<(&Node<'a>, &Up)> {
        let primaries = self.members().filter(|(_, up)| up.is_primary());
        primaries.max_by_key(|(_, up)| up.status().ok().and_then(|status| status.get("term")?.as_int()))
    }

    /// The set's configuration in force: the primary's, or else the latest that anybody has.
    pub(crate) fn config(&self) -> Option<SetConfig> {
        if let Some(config) = self.primary().and_then(|(_, up)| up.config()) {
            return Some(config);
        }
        let configs = self.members().filter_map(|(_, up)| up.config());
        configs.max_by_key(|config| (config.term(), config.version()))
    }

    /// Whether a set exists: somebody is a member of it.
    pub(crate) fn has_set(&self) -> bool {
        self.members().next().is_some()
    }

    /// The version of the servers: the oldest, for what it does not know must not be said.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let running = self.nodes.iter().filter_map(|node| node.server.up()?.version());
        let installed = self.nodes.iter().filter_map(|node| node.installed);
        running.min().or(installed.min())
    }

    /// Who is in touch with the set as a whole: the primary, or where it was not asked, a member that follows it.
    fn witness(&self) -> Option<&Up> {
        let follows = self.members().find(|(_, up)| up.leader().is_some());
        self.primary().or(follows).map(|(_, up)| up)
    }

    /// The name of the primary in the set, as far as anybody knows.
    pub(crate) fn leader_name(&self) -> Option<String> {
        self.witness()?.leader_name()
    }

    /// Whether the set has a primary, as far as anybody knows.
    pub(crate) fn has_leader(&self) -> bool {
        self.witness().is_some()
    }

    /// What the primary, or else any other member, says of a member.
    pub(crate) fn seen(&self, host: &HostName) -> Option<Seen> {
        self.seen_as(&self.settings.member_name(host))
    }

    /// The same of a member by its name.
    pub(crate) fn seen_as(&self, name: &str) -> Option<Seen> {
        let witness = self.witness().into_iter();
        let members = self.members().map(|(_, up)| up);
        witness.chain(members).find_map(|up| up.seen(name))
    }

    /// How far a member is behind the primary, in seconds.
    pub(crate) fn lag_s(&self, host: &HostName) -> Option<i64> {
        self.lag_ms(host).map(|lag| lag / 1000)
    }

    /// Whether a member has got something since its process started, or has all there is. One that was away for a few
    /// seconds is only so far behind, whether it follows the primary by now or not.
    pub(crate) fn follows(&self, node: &Node<'_>) -> bool {
        let started_ms = node.unit.as_ref().map_or(0, |unit| unit.started_us / 1000);
        let at_ms = self.seen(node.host).and_then(|seen| seen.at_ms);
        let delay_ms = self
            .delay_s(&self.settings.member_name(node.host))
            .saturating_mul(1000);
        self.lag_ms(node.host) == Some(0)
            || at_ms.is_some_and(|at_ms| at_ms.saturating_add(delay_ms) > started_ms)
    }

    /// How far a member stays behind on purpose.
    fn delay_s(&self, name: &str) -> i64 {
        let config = self.config();
        let member = config.and_then(|config| config.member(name));
        member.map_or(0, |member| member.delay())
    }

    fn lag_ms(&self, host: &HostName) -> Option<i64> {
        let up = self.witness()?;
        let own = up.leader()?.at_ms?;
        let name = self.settings.member_name(host);
        let its = up.seen(&name)?.at_ms?;
        let delay_ms = self.delay_s(&name).saturating_mul(1000);
        Some(own.saturating_sub(its).saturating_sub(delay_ms).max(0))
    }

    /// Members that the inventory does not name, by their names in the set.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let members = self.config().map(|config| config.members()).unwrap_or_default();
        let strangers = members
            .iter()
            .filter(|member| self.settings.host_of(member.name()).is_none());
        strangers.map(|member| member.name().to_owned()).collect()
    }
}

impl<'a> Node<'a> {
    fn new(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let keyfile = settings.keyfile.as_ref();
        Self {
            host,
            unreachable: facts.unreachable(host),
            unit: facts.get(host, &UnitQuery::new(&settings.unit)),
            file: facts.get(host, &queries::conf(settings)),
            lock: facts.get(host, &queries::lock(settings)),
            made: facts.get(host, &queries::made(settings)),
            keyfile: keyfile.map(|file| facts.get(host, &queries::keyfile(file))),
            server: Server::find(settings, host, facts),
            installed: installed(host, facts),
        }
    }

    /// Its place, where it answers.
    pub(crate) fn place(&self, settings: &Settings) -> Option<Place> {
        Some(self.server.up()?.place(&settings.replica_set))
    }

    /// Whether systemd runs it.
    pub(crate) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    /// Whether its server has ended, and systemd does not start it again by itself.
    pub(crate) fn has_ended(&self) -> bool {
        let is_over = |unit: &&UnitFact| ["inactive", "failed"].contains(&unit.active.as_str());
        self.unit.as_ref().is_ok_and(is_over)
    }

    /// Whether the server never ran where the inventory says that its data are: then it is in no set, and holds nothing.
    pub(crate) fn never_ran(&self, settings: &Settings) -> bool {
        !self.stores_elsewhere(settings) && self.lock.as_ref().is_ok_and(|lock| lock.meta().is_none())
    }

    /// Whether its file names another data directory than the inventory.
    pub(crate) fn stores_elsewhere(&self, settings: &Settings) -> bool {
        let Some(Ok(conf)) = self.conf() else {
            return false;
        };
        let path = conf.get("storage.dbPath").and_then(serde_json::Value::as_str);
        path.is_some_and(|path| path.trim_end_matches('/') != settings.data_dir.trim_end_matches('/'))
    }

    /// Its mongod.conf; `None` where there is none, or it could not be read.
    pub(crate) fn conf(&self) -> Option<Result<Conf, BadConf>> {
        let text = self.file.as_ref().ok()?.text()?;
        Some(Conf::parse(text.as_str()))
    }

    /// Whether a file was changed after the process was started.
    pub(crate) fn is_newer(&self, file: &FileFact) -> bool {
        let started = self.unit.as_ref().map_or(0, |unit| unit.started_us);
        file.meta().is_some_and(|meta| meta.modified_us > started)
    }
}

/// `db version v7.0.14`
fn installed(host: &HostName, facts: &Facts) -> Option<(u32, u32)> {
    let said = facts.get(host, &queries::installed()).ok()?;
    let line = said
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("db version v"))?;
    release(line)
}

/// The first two numbers of a version.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

impl Server {
    fn find(settings: &Settings, host: &HostName, facts: &Facts) -> Self {
        let mut first = None;
        for port in queries::ports(settings) {
            let found = match facts.get(host, &queries::server(settings, port)) {
                Err(unknown) => Self::Unknown(unknown.to_string()),
                Ok(MongoFact::Down(why)) => Self::Down(why.clone()),
                Ok(MongoFact::Denied(error)) => Self::Denied(error.clone()),
                Ok(MongoFact::Replies { login, replies }) => Self::Up(Box::new(Up {
                    port,
                    login: login.clone(),
                    replies: replies.clone(),
                })),
            };
            if !matches!(found, Self::Down(_) | Self::Unknown(_)) {
                return found;
            }
            first.get_or_insert(found);
        }
        first.unwrap_or_else(|| Self::Unknown("nothing was asked".to_owned()))
    }

    /// The server where it answers.
    pub(crate) fn up(&self) -> Option<&Up> {
        match self {
            Self::Up(up) => Some(up),
            _ => None,
        }
    }
}

impl Up {
    /// The reply to a question.
    pub(crate) fn reply(&self, ask: Ask) -> Result<&Bson, Option<&MongoError>> {
        let at = ASKED.iter().position(|asked| *asked == ask);
        match at.and_then(|at| self.replies.get(at)) {
            Some(Ok(document)) => Ok(document),
            Some(Err(error)) => Err(Some(error)),
            None => Err(None),
        }
    }

    fn hello(&self, field: &str) -> Option<&Bson> {
        self.reply(Ask::Hello).ok()?.get(field)
    }

    /// `replSetGetStatus`.
    pub(crate) fn status(&self) -> Result<&Bson, Option<&MongoError>> {
        self.reply(Ask::Status)
    }

    /// The server's version: its first two numbers.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        release(self.reply(Ask::Version).ok()?.get("version")?.as_str()?)
    }

    /// Where it belongs.
    pub(crate) fn place(&self, set: &str) -> Place {
        let named = self.hello("setName").and_then(Bson::as_str);
        match self.status() {
            Ok(status) => {
                let name = status
                    .get("set")
                    .and_then(Bson::as_str)
                    .or(named)
                    .unwrap_or_default();
                if name == set {
                    Place::Member
                } else {
                    Place::Foreign(name.to_owned())
                }
            }
            Err(Some(error)) if error.code == 76 => Place::Standalone,
            Err(Some(error)) if error.code == 94 => Place::Blank,
            Err(Some(error)) if error.code == 93 => Place::Removed(error.message.clone()),
            Err(error) => match named {
                Some(name) if name != set => Place::Foreign(name.to_owned()),
                // An arbiter has no users, so nobody can log in there.
                Some(_) if self.is_arbiter() => Place::Member,
                _ => Place::Hidden(error.cloned().unwrap_or_else(|| MongoError {
                    code: 0,
                    name: String::new(),
                    message: "it does not say what it is".to_owned(),
                })),
            },
        }
    }

    /// Whether it takes itself for the primary.
    pub(crate) fn is_primary(&self) -> bool {
        self.hello("isWritablePrimary").is_some_and(Bson::is_true)
    }

    /// Whether it is a secondary that can be read.
    pub(crate) fn is_secondary(&self) -> bool {
        self.hello("secondary").is_some_and(Bson::is_true)
    }

    /// Whether it is an arbiter.
    pub(crate) fn is_arbiter(&self) -> bool {
        self.hello("arbiterOnly").is_some_and(Bson::is_true)
    }

    /// Whether it does its part in the set.
    pub(crate) fn serves(&self) -> bool {
        self.is_primary() || self.is_secondary() || self.is_arbiter()
    }

    /// The set's configuration as it has it; `None` where it has none, or shows it to nobody.
    pub(crate) fn config(&self) -> Option<SetConfig> {
        let config = self.reply(Ask::Config).ok()?.get("config")?;
        Some(SetConfig::read(config))
    }

    /// The number of the configuration, and whether a majority has it; only a primary knows.
    pub(crate) fn committed(&self) -> Option<(i64, bool)> {
        let reply = self.reply(Ask::Committed).ok()?;
        let version = reply.get("config.version")?.as_int()?;
        Some((version, reply.get("commitmentStatus")?.is_true()))
    }

    /// The options that it was started with.
    pub(crate) fn options(&self) -> Option<&Bson> {
        self.reply(Ask::Options).ok()?.get("parsed")
    }

    /// Whether clients must log in; `None` where it cannot be told.
    pub(crate) fn asks_for_login(&self) -> Option<bool> {
        let reply = match self.reply(Ask::Options) {
            Ok(reply) => reply,
            Err(Some(error)) if error.code == UNAUTHORIZED => return Some(true),
            Err(_) => return None,
        };
        // That it is seen says nothing: an arbiter, which has no users, shows it to its own host (SERVER-5479).
        let option = |path: &str| reply.get("parsed")?.get(path);
        let is_enabled = option("security.authorization").and_then(Bson::as_str) == Some("enabled");
        let is_lenient = option("security.transitionToAuth").is_some_and(Bson::is_true);
        Some((is_enabled || option("security.keyFile").is_some()) && !is_lenient)
    }

    /// Whether it has no user at all, and asks for a login: then it lets nobody do a few things from its own host.
    pub(crate) fn has_localhost_exception(&self) -> bool {
        let is_refused = !matches!(self.login, Login::Accepted);
        let may_look = !matches!(self.status(), Err(Some(error)) if error.code == UNAUTHORIZED);
        is_refused && may_look && self.asks_for_login() == Some(true)
    }

    /// Whether it keeps the admin out although there are users.
    pub(crate) fn locks_us_out(&self) -> bool {
        !self.is_arbiter() && matches!(self.status(), Err(Some(error)) if error.code == UNAUTHORIZED)
    }

    /// Users of the database `admin`, with their roles.
    pub(crate) fn users(&self) -> Option<Vec<(String, BTreeSet<crate::settings::Role>)>> {
        let users = self.reply(Ask::Users).ok()?.get("users")?;
        let users = users.items().iter().filter_map(|user| {
            let roles = user.get("roles").map(Bson::items).unwrap_or_default();
            let roles = roles.iter().filter_map(|role| {
                Some(crate::settings::Role {
                    role: role.get("role")?.as_str()?.to_owned(),
                    db: role.get("db")?.as_str()?.to_owned(),
                })
            });
            Some((user.get("user")?.as_str()?.to_owned(), roles.collect()))
        });
        Some(users.collect())
    }

    /// How many seconds of changes its oplog holds.
    pub(crate) fn window_s(&self) -> Option<i64> {
        let oplog = self.reply(Ask::Oplog).ok()?.get("oplog")?;
        match (oplog.get("earliestOptime")?, oplog.get("latestOptime")?) {
            (Bson::Timestamp(first, _), Bson::Timestamp(last, _)) => {
                Some(i64::from(*last) - i64::from(*first))
            }
            _ => None,
        }
    }

    /// Whether somebody set the default write concern; `None` where it cannot be told.
    pub(crate) fn has_write_concern(&self) -> Option<bool> {
        let reply = self.reply(Ask::WriteConcern).ok()?;
        match reply.get("defaultWriteConcernSource").and_then(Bson::as_str) {
            Some(source) => Some(source == "global"),
            None => Some(reply.get("defaultWriteConcern").is_some()),
        }
    }

    fn seen(&self, name: &str) -> Option<Seen> {
        let members = self.status().ok()?.get("members")?.items();
        let is_it = |member: &&Bson| member.get("name").and_then(Bson::as_str) == Some(name);
        Seen::read(members.iter().find(is_it)?)
    }

    /// The primary, as it sees it.
    fn leader(&self) -> Option<Seen> {
        self.seen(&self.leader_name()?)
    }

    fn leader_name(&self) -> Option<String> {
        let members = self.status().ok()?.get("members")?.items();
        let leads = |member: &&Bson| {
            let seen = Seen::read(member);
            seen.is_some_and(|seen| seen.state == PRIMARY && seen.is_healthy)
        };
        let name = members.iter().find(leads)?.get("name")?;
        name.as_str().map(str::to_owned)
    }
}

impl Seen {
    /// Whether it does its part.
    pub(crate) fn serves(&self) -> bool {
        self.is_healthy && [PRIMARY, SECONDARY, ARBITER].contains(&self.state)
    }

    fn read(member: &Bson) -> Option<Self> {
        let text = |field: &str| {
            member
                .get(field)
                .and_then(Bson::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Some(Self {
            state: member.get("state")?.as_int()?,
            words: text("stateStr"),
            is_healthy: member.get("health").is_some_and(Bson::is_true),
            at_ms: match member.get("optimeDate") {
                // A member that is down, or an arbiter, has the beginning of time.
                Some(Bson::Date(ms)) if *ms > 0 => Some(*ms),
                _ => None,
            },
            message: text("lastHeartbeatMessage"),
        })
    }
}

/// `Unauthorized`.
pub(crate) const UNAUTHORIZED: i32 = 13;

/// The admin, where the server knows it already.
pub(crate) fn known_admin(settings: &Settings, up: &Up) -> Option<MongoUser> {
    settings.admin.clone().filter(|_| up.login == Login::Accepted)
}
