//! A server's replies, decoded once.

use std::collections::{BTreeMap, BTreeSet};

use formats::replset::SetConfig;
use kit::Probe;
use plan::{Facts, Unknown};
use protocol::facts::{Bson, Login, MongoError, MongoFact, MongoUser, UnitFact};
use types::HostName;

use super::queries::{self, QUESTIONS, Question};
use super::replset_status::ReplSetStatus;
use crate::settings::{Settings, UserRole};

/// A server that answers. Of what it does not tell, `None`.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) login: Login,
    pub(crate) membership: Membership,
    /// The name of its own member in the set.
    pub(crate) own_name: Option<String>,
    pub(crate) role: Option<Role>,
    /// The first two numbers of its version.
    pub(crate) version: Option<(u32, u32)>,
    pub(crate) status: Option<ReplSetStatus>,
    /// The set's configuration as this server has it.
    pub(crate) config: Option<SetConfig>,
    /// The version of the configuration in force, and whether a majority has it; only a primary tells.
    pub(crate) committed: Option<(i64, bool)>,
    /// The options that it was started with.
    pub(crate) options: Option<Bson>,
    /// Whether clients must log in.
    pub(crate) requires_login: Option<bool>,
    /// Whether it refuses the admin although there are users.
    pub(crate) rejects_admin: bool,
    /// Whether it has no user at all and requires a login: then its own host may do a few things without one.
    pub(crate) has_localhost_exception: bool,
    /// All users, with their roles.
    pub(crate) users: Option<Users>,
    /// All databases.
    pub(crate) databases: Option<Vec<String>>,
    /// The number of collections that are not the server's own.
    pub(crate) collections: Option<i64>,
    /// The times of the first and the last change in its oplog, seconds since 1970.
    pub(crate) oplog: Option<(i64, i64)>,
    /// Whether somebody set the default write concern.
    pub(crate) has_write_concern: Option<bool>,
}

/// Roles by a user's database and name.
pub(crate) type Users = BTreeMap<(String, String), BTreeSet<UserRole>>;

/// The set that a server belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Membership {
    /// It does not replicate.
    Standalone,
    /// It waits for a set's configuration.
    Uninitiated,
    /// It is a member of the inventory's set.
    Member,
    /// It is a member of the set of that name.
    OtherSet(String),
    /// It was removed from its set, in the server's words.
    Removed(String),
    /// It shows nothing of this, and why.
    Hidden(MongoError),
}

/// The role of a member that does its part in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Secondary,
    Arbiter,
}

/// `Unauthorized`.
const UNAUTHORIZED: i32 = 13;
/// `NoReplicationEnabled`.
const STANDALONE: i32 = 76;
/// `NotYetInitialized`.
const UNINITIATED: i32 = 94;
/// `InvalidReplicaSetConfig`: the configuration in force does not name this server.
const REMOVED: i32 = 93;

impl Server {
    /// Asks on each port where the server may listen: the first answer counts.
    pub(crate) fn probe(
        settings: &Settings,
        host: &HostName,
        unit: &Result<&UnitFact, Unknown>,
        facts: &Facts,
    ) -> Probe<Self, MongoError> {
        let mut first = None;
        for port in queries::ports(settings) {
            let probe = match facts.get(host, &queries::server(settings, port)) {
                Ok(MongoFact::Replies { login, replies }) => {
                    return Probe::Up(Self::read(settings, port, login, &Replies(replies)));
                }
                Ok(MongoFact::Denied(error)) => return Probe::Denied(error.clone()),
                Ok(MongoFact::Down(silence)) => Probe::silent(unit, silence),
                Err(unknown) => Probe::Unknown(unknown.to_string()),
            };
            first.get_or_insert(probe);
        }
        first.unwrap_or_else(|| Probe::Unknown("nothing was asked".to_owned()))
    }

    fn read(settings: &Settings, port: u16, login: &Login, replies: &Replies<'_>) -> Self {
        let role = replies.role();
        let is_unauthorized = replies.is_unauthorized(Question::Status);
        let requires_login = replies.requires_login();
        let is_known = *login == Login::Accepted;
        Self {
            port,
            login: login.clone(),
            membership: replies.membership(&settings.replica_set, role),
            own_name: replies.own_name().map(str::to_owned),
            role,
            version: replies.text(Question::Version, "version").and_then(release),
            status: replies.to(Question::Status).ok().map(ReplSetStatus::read),
            config: replies.field(Question::Config, "config").map(SetConfig::read),
            committed: replies.committed(),
            options: replies.field(Question::Options, "parsed").cloned(),
            requires_login,
            // An arbiter has no users, so no user can log in there.
            rejects_admin: is_unauthorized && role != Some(Role::Arbiter),
            has_localhost_exception: !is_known && !is_unauthorized && requires_login == Some(true),
            users: replies.users(),
            // The localhost exception answers with an empty list (seen on 4.9).
            databases: replies
                .databases()
                .filter(|_| is_known || requires_login == Some(false)),
            collections: replies
                .field(Question::Catalog, "catalogStats.collections")
                .and_then(Bson::as_int),
            oplog: replies.oplog(),
            has_write_concern: replies.has_write_concern(),
        }
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.role == Some(Role::Primary)
    }

    pub(crate) fn is_arbiter(&self) -> bool {
        self.role == Some(Role::Arbiter)
    }

    /// The admin, where the server knows it already.
    pub(crate) fn known_admin(&self, settings: &Settings) -> Option<MongoUser> {
        settings.admin.clone().filter(|_| self.login == Login::Accepted)
    }
}

/// The first two numbers of a version.
pub(crate) fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The replies to all questions, in their order.
struct Replies<'a>(&'a [Result<Bson, MongoError>]);

impl<'a> Replies<'a> {
    fn to(&self, question: Question) -> Result<&'a Bson, Option<&'a MongoError>> {
        let at = QUESTIONS.iter().position(|asked| *asked == question);
        match at.and_then(|at| self.0.get(at)) {
            Some(reply) => reply.as_ref().map_err(Some),
            None => Err(None),
        }
    }

    fn field(&self, question: Question, path: &str) -> Option<&'a Bson> {
        self.to(question).ok()?.get(path)
    }

    fn text(&self, question: Question, path: &str) -> Option<&'a str> {
        self.field(question, path)?.as_str()
    }

    fn is_unauthorized(&self, question: Question) -> bool {
        matches!(self.to(question), Err(Some(error)) if error.code == UNAUTHORIZED)
    }

    fn role(&self) -> Option<Role> {
        let is = |field: &str| self.field(Question::Hello, field).is_some_and(Bson::is_true);
        [
            ("isWritablePrimary", Role::Primary),
            ("secondary", Role::Secondary),
            ("arbiterOnly", Role::Arbiter),
        ]
        .into_iter()
        .find_map(|(field, role)| is(field).then_some(role))
    }

    fn membership(&self, set: &str, role: Option<Role>) -> Membership {
        let named = self.text(Question::Hello, "setName");
        match self.to(Question::Status) {
            Ok(status) => match status.get("set").and_then(Bson::as_str).or(named) {
                Some(name) if name == set => Membership::Member,
                name => Membership::OtherSet(name.unwrap_or_default().to_owned()),
            },
            Err(Some(error)) if error.code == STANDALONE => Membership::Standalone,
            Err(Some(error)) if error.code == UNINITIATED => Membership::Uninitiated,
            Err(Some(error)) if error.code == REMOVED => Membership::Removed(error.message.clone()),
            Err(error) => match named {
                Some(name) if name != set => Membership::OtherSet(name.to_owned()),
                Some(_) if role == Some(Role::Arbiter) => Membership::Member,
                _ => Membership::Hidden(error.cloned().unwrap_or_else(|| MongoError {
                    code: 0,
                    name: String::new(),
                    message: "it does not say what it is".to_owned(),
                })),
            },
        }
    }

    /// A server that is being stopped refuses `hello` (code 91), and still shows its status.
    fn own_name(&self) -> Option<&'a str> {
        let is_own = |member: &&Bson| member.get("self").is_some_and(Bson::is_true);
        let mut members = self
            .field(Question::Status, "members")
            .into_iter()
            .flat_map(Bson::items);
        let own = || members.find(is_own)?.get("name")?.as_str();
        self.text(Question::Hello, "me").or_else(own)
    }

    fn committed(&self) -> Option<(i64, bool)> {
        let version = self.field(Question::Committed, "config.version")?.as_int()?;
        let is_committed = self.field(Question::Committed, "commitmentStatus")?.is_true();
        Some((version, is_committed))
    }

    fn requires_login(&self) -> Option<bool> {
        if self.is_unauthorized(Question::Options) {
            return Some(true);
        }
        // That it is seen says nothing: an arbiter, which has no users, shows it to its own host (SERVER-5479).
        self.to(Question::Options).ok()?;
        let option = |name: &str| self.field(Question::Options, &format!("parsed.security.{name}"));
        let is_enabled = option("authorization").and_then(Bson::as_str) == Some("enabled");
        let is_lenient = option("transitionToAuth").is_some_and(Bson::is_true);
        Some((is_enabled || option("keyFile").is_some()) && !is_lenient)
    }

    fn users(&self) -> Option<Users> {
        let users = self.field(Question::Users, "users")?.items().iter();
        let users = users.filter_map(|user| {
            let roles = user.get("roles").map(Bson::items).unwrap_or_default().iter();
            let roles = roles.filter_map(|role| {
                Some(UserRole {
                    role: role.get("role")?.as_str()?.to_owned(),
                    db: role.get("db")?.as_str()?.to_owned(),
                })
            });
            let text = |field: &str| Some(user.get(field)?.as_str()?.to_owned());
            Some(((text("db")?, text("user")?), roles.collect()))
        });
        Some(users.collect())
    }

    fn databases(&self) -> Option<Vec<String>> {
        let databases = self.field(Question::Databases, "databases")?.items().iter();
        let names = databases.filter_map(|database| Some(database.get("name")?.as_str()?.to_owned()));
        Some(names.collect())
    }

    fn oplog(&self) -> Option<(i64, i64)> {
        let time = |field: &str| match self.field(Question::Oplog, field)? {
            Bson::Timestamp(seconds, _) => Some(i64::from(*seconds)),
            _ => None,
        };
        Some((time("oplog.earliestOptime")?, time("oplog.latestOptime")?))
    }

    fn has_write_concern(&self) -> Option<bool> {
        let reply = self.to(Question::WriteConcern).ok()?;
        match reply.get("defaultWriteConcernSource").and_then(Bson::as_str) {
            Some(source) => Some(source == "global"),
            None => Some(reply.get("defaultWriteConcern").is_some()),
        }
    }
}
