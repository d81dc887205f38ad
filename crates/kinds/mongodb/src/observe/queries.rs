//! The questions to a host.

use protocol::facts::{
    Bson, CommandQuery, FileQuery, MongoCommand, MongoQuery, MongoUser, Query, ResolveQuery, THIS_HOST,
    UnitQuery,
};
use protocol::{FactQuery, Text};
use types::HostName;

use crate::settings::{Keyfile, Settings};

/// A member is asked on its own host, at the loopback where it listens there: the localhost exception holds nowhere else. One
/// that an operator bound to other addresses is found at those.
pub(crate) const HERE: &str = THIS_HOST;
/// The port of a server that was only just installed.
const PACKAGED_PORT: u16 = 27017;

/// The commands of [`server`], in this order; [`super::server`] reads the replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Hello,
    Version,
    Status,
    Config,
    /// The same with whether it is committed, which a primary alone knows.
    Committed,
    Options,
    Users,
    /// All of them, or an error: without being told so a server shows those that the user may see, of which there may be
    /// none.
    Databases,
    /// The number of collections, apart from the oplog: a server that has none refuses the whole question (17347).
    Catalog,
    Oplog,
    WriteConcern,
}

/// All of them.
pub(crate) const QUESTIONS: [Question; 11] = [
    Question::Hello,
    Question::Version,
    Question::Status,
    Question::Config,
    Question::Committed,
    Question::Options,
    Question::Users,
    Question::Databases,
    Question::Catalog,
    Question::Oplog,
    Question::WriteConcern,
];

impl Question {
    fn command(self) -> MongoCommand {
        match self {
            Self::Hello => MongoCommand::new("hello", 1).only(&[
                "setName",
                "isWritablePrimary",
                "secondary",
                "arbiterOnly",
                "primary",
                "me",
            ]),
            Self::Version => MongoCommand::new("buildInfo", 1).only(&["version"]),
            Self::Status => MongoCommand::new("replSetGetStatus", 1).only(&[
                "set",
                "myState",
                "term",
                "members.name",
                "members.self",
                "members.health",
                "members.state",
                "members.stateStr",
                "members.optimeDate",
                "members.lastHeartbeatMessage",
            ]),
            Self::Config => MongoCommand::new("replSetGetConfig", 1).only(&["config"]),
            Self::Committed => MongoCommand::new("replSetGetConfig", 1)
                .with("commitmentStatus", true)
                .only(&["config.version", "config.term", "commitmentStatus"]),
            Self::Options => MongoCommand::new("getCmdLineOpts", 1).only(&["parsed"]),
            Self::Users => MongoCommand::new("usersInfo", Bson::doc([("forAllDBs", true.into())])).only(&[
                "users.user",
                "users.db",
                "users.roles.role",
                "users.roles.db",
            ]),
            Self::Databases => MongoCommand::new("listDatabases", 1)
                .with("nameOnly", true)
                .with("authorizedDatabases", false)
                .only(&["databases.name"]),
            Self::Catalog => MongoCommand::new("serverStatus", 1).only(&["catalogStats.collections"]),
            Self::Oplog => MongoCommand::new("serverStatus", 1)
                .with("oplog", 1)
                .only(&["oplog"]),
            Self::WriteConcern => MongoCommand::new("getDefaultRWConcern", 1)
                .only(&["defaultWriteConcernSource", "defaultWriteConcern"]),
        }
    }
}

/// A question to a host's server, as the admin where there is one. Where the server has no such user (yet), the question is
/// asked without a login.
pub(crate) fn ask(settings: &Settings, port: u16, commands: Vec<MongoCommand>) -> MongoQuery {
    MongoQuery {
        address: HERE.to_owned(),
        port,
        user: settings.admin.clone(),
        or_as_nobody: true,
        commands,
    }
}

/// A question that needs no login.
pub(crate) fn ask_as_nobody(port: u16, commands: Vec<MongoCommand>) -> MongoQuery {
    MongoQuery {
        address: HERE.to_owned(),
        port,
        user: None,
        or_as_nobody: false,
        commands,
    }
}

/// The state of the server on a port.
pub(crate) fn server(settings: &Settings, port: u16) -> MongoQuery {
    ask(settings, port, QUESTIONS.map(Question::command).to_vec())
}

/// Whether a user's password is right: the login itself is the answer.
pub(crate) fn login(settings: &Settings, user: &MongoUser) -> MongoQuery {
    MongoQuery {
        address: HERE.to_owned(),
        port: settings.port,
        user: Some(user.clone()),
        or_as_nobody: false,
        commands: vec![MongoCommand::new("ping", 1)],
    }
}

/// The ports on which a host's server may be found, the wanted one first.
pub(crate) fn ports(settings: &Settings) -> Vec<u16> {
    let mut ports = vec![settings.port];
    if settings.port != PACKAGED_PORT {
        ports.push(PACKAGED_PORT);
    }
    ports
}

/// mongod.conf, with its text; passwords of keys and certificates stay on the host.
pub(crate) fn conf(settings: &Settings) -> FileQuery {
    FileQuery::text(&settings.config_path).masking(&["(?i)password[\"']?\\s*:\\s*(\\S.*)$"])
}

/// The key file, with its text.
pub(crate) fn keyfile(keyfile: &Keyfile) -> FileQuery {
    FileQuery::text(&keyfile.path)
        .knowing([&keyfile.secret])
        .masking(&["^(.*)$"])
}

/// The key file's text as it should be.
pub(crate) fn keyfile_text(keyfile: &Keyfile) -> Text {
    Text::secret(&keyfile.secret)
}

/// A file that mongod makes in its data directory when it starts for the first time, and never removes.
pub(crate) fn lock(settings: &Settings) -> FileQuery {
    FileQuery::meta(format!("{}/mongod.lock", settings.data_dir))
}

/// The file that WiredTiger writes when it makes a database, and never again.
pub(crate) fn wired_tiger(settings: &Settings) -> FileQuery {
    FileQuery::meta(format!("{}/WiredTiger", settings.data_dir))
}

/// The addresses of a host's name: a set may know its member by one.
pub(crate) fn resolved(host: &HostName) -> ResolveQuery {
    ResolveQuery {
        name: host.to_string(),
    }
}

/// The unit's command line, whose options override the file.
pub(crate) fn command_line(settings: &Settings) -> CommandQuery {
    let argv = ["systemctl", "show", "--property=ExecStart", &settings.unit];
    CommandQuery {
        argv: argv.map(str::to_owned).to_vec(),
        limit_ms: 10_000,
    }
}

/// The version of the installed program.
pub(crate) fn installed() -> CommandQuery {
    CommandQuery {
        argv: vec!["mongod".to_owned(), "--version".to_owned()],
        limit_ms: 10_000,
    }
}

/// The facts that tell whether a member is available.
pub(crate) fn live(settings: &Settings) -> Vec<FactQuery> {
    let mut queries = vec![UnitQuery::new(&settings.unit).wrap()];
    queries.extend(
        ports(settings)
            .into_iter()
            .map(|port| server(settings, port).wrap()),
    );
    queries
}

/// The facts that tell where a server's data are, and since when.
pub(crate) fn data_directory(settings: &Settings) -> [FactQuery; 3] {
    [
        conf(settings).wrap(),
        lock(settings).wrap(),
        wired_tiger(settings).wrap(),
    ]
}

/// All that is asked of a member; of another host, whether it is or was one.
pub(crate) fn all(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    if !settings.hosts.contains(host) {
        return vec![
            UnitQuery::new(&settings.unit).wrap(),
            server(settings, settings.port).wrap(),
        ];
    }
    let mut queries = live(settings);
    queries.extend(settings.hosts.iter().map(|host| resolved(host).wrap()));
    queries.extend(data_directory(settings));
    queries.push(command_line(settings).wrap());
    // Only the name of the delay depends on the version before a server runs.
    let has_delay = settings.members.iter().any(|member| member.delay_s.is_some());
    queries.extend(has_delay.then(|| installed().wrap()));
    queries.extend(settings.keyfile.iter().map(|file| keyfile(file).wrap()));
    queries.extend(
        settings
            .users
            .iter()
            .map(|user| login(settings, &user.login).wrap()),
    );
    queries
}
