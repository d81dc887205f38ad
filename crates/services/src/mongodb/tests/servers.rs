//! The servers of the world in memory: what they run with, what they keep, what they answer.

use std::collections::BTreeMap;

use protocol::facts::{Bson, MongoCommand, MongoError};
use serde_json::Value;

use super::world::{Node, World};
use crate::mongodb::conf::Conf;
use crate::mongodb::set::{Member, SetConfig};

/// What a server keeps.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) config: Option<SetConfig>,
    /// Password and roles by name.
    pub(super) users: BTreeMap<String, (String, Vec<(String, String)>)>,
    pub(super) databases: Vec<&'static str>,
    pub(super) has_data: bool,
    pub(super) is_arbiter: bool,
    pub(super) has_write_concern: bool,
}

/// A server that runs.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) started: i64,
    pub(super) port: u16,
    conf: Conf,
    text: String,
}

impl Process {
    /// Starts as mongod does, or panics with why it would not.
    pub(super) fn start(
        text: &str,
        key: Option<&(String, u32, String, i64)>,
        started: i64,
        version: &str,
    ) -> Self {
        let conf = Conf::parse(text).expect("a file that mongod reads");
        if let Some(path) = conf.get("security.keyFile") {
            let (_, mode, owner, _) = key.unwrap_or_else(|| panic!("there is no {path}"));
            assert!(
                matches!(mode, 0o400 | 0o600) && owner == "mongodb",
                "permissions on {path} are too open"
            );
        }
        let new = !version.starts_with("4.") && !version.starts_with("5.");
        assert!(
            !new || conf.get("storage.journal.enabled").is_none(),
            "Unrecognized option: storage.journal.enabled"
        );
        let port = conf.get("net.port").and_then(Value::as_u64).unwrap_or(27017);
        Self {
            started,
            port: u16::try_from(port).expect("a port"),
            text: text.to_owned(),
            conf,
        }
    }

    pub(super) fn set(&self) -> Option<&str> {
        self.conf.get("replication.replSetName")?.as_str()
    }

    pub(super) fn has_auth(&self) -> bool {
        let authorization = self.conf.get("security.authorization").and_then(Value::as_str);
        authorization == Some("enabled") || self.conf.get("security.keyFile").is_some()
    }

    fn parsed(&self) -> Bson {
        let tree: Value = serde_saphyr::from_str(&self.text).expect("YAML");
        bson(&tree)
    }
}

fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Bson::Double(number.to_string()), Bson::Int),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect()),
        Value::Object(map) => Bson::Doc(
            map.iter()
                .map(|(name, value)| (name.clone(), bson(value)))
                .collect(),
        ),
    }
}

/// An error of a server.
pub(super) fn bad(code: i32, name: &str, message: &str) -> MongoError {
    MongoError {
        code,
        name: name.to_owned(),
        message: message.to_owned(),
    }
}

/// The answer to a command that changes nothing.
pub(super) fn reply(
    world: &World,
    node: &Node,
    process: &Process,
    command: &MongoCommand,
) -> Result<Bson, MongoError> {
    let is_primary = world.primary == Some(node.name);
    let is_secondary = node.is_in_set() && !is_primary && node.disk.has_data && !node.disk.is_arbiter;
    let is_open = process.set().is_none() || is_primary || is_secondary;
    match command.name() {
        "ping" => Ok(Bson::doc([])),
        "buildInfo" => Ok(Bson::doc([("version", world.version.into())])),
        "hello" => Ok(hello(world, node, process, is_primary, is_secondary)),
        "replSetGetStatus" => status(world, node, process),
        "replSetGetConfig" => {
            let config = in_set(node, process)?;
            let mut fields = vec![("config", config.document())];
            if command.fields.iter().any(|(name, _)| name == "commitmentStatus") {
                if !is_primary {
                    return Err(bad(
                        10107,
                        "NotWritablePrimary",
                        "commitmentStatus is only supported on primary",
                    ));
                }
                fields.push(("commitmentStatus", true.into()));
            }
            Ok(Bson::doc(fields))
        }
        "getCmdLineOpts" => Ok(Bson::doc([("parsed", process.parsed())])),
        "usersInfo" | "listDatabases" | "getDefaultRWConcern" if !is_open => Err(bad(
            13436,
            "NotPrimaryOrSecondary",
            "node is not in primary or recovering state",
        )),
        "usersInfo" => Ok(users(node)),
        "listDatabases" => {
            let names = ["admin", "config", "local"]
                .into_iter()
                .chain(node.disk.databases.iter().copied());
            let databases = names.map(|name| Bson::doc([("name", name.into())]));
            Ok(Bson::doc([("databases", Bson::Array(databases.collect()))]))
        }
        "serverStatus" => {
            let oplog = Bson::doc([
                ("latestOptime", Bson::Timestamp(100_000, 1)),
                ("earliestOptime", Bson::Timestamp(10_000, 1)),
            ]);
            let stats = Bson::doc([(
                "collections",
                i64::try_from(node.disk.databases.len()).unwrap().into(),
            )]);
            Ok(Bson::doc([("oplog", oplog), ("catalogStats", stats)]))
        }
        "getDefaultRWConcern" => {
            let source = if node.disk.has_write_concern {
                "global"
            } else {
                "implicit"
            };
            Ok(Bson::doc([("defaultWriteConcernSource", source.into())]))
        }
        other => panic!("nobody answers {other}"),
    }
}

fn in_set<'n>(node: &'n Node, process: &Process) -> Result<&'n SetConfig, MongoError> {
    if process.set().is_none() {
        return Err(bad(76, "NoReplicationEnabled", "not running with --replSet"));
    }
    let config = node.disk.config.as_ref();
    config.ok_or_else(|| bad(94, "NotYetInitialized", "no replset config has been received"))
}

fn hello(world: &World, node: &Node, process: &Process, is_primary: bool, is_secondary: bool) -> Bson {
    let mut fields = Vec::new();
    if node.is_in_set() {
        fields.push(("setName", process.set().unwrap_or_default().into()));
        fields.extend(world.primary.map(|name| ("primary", name.into())));
    }
    fields.push((
        "isWritablePrimary",
        (is_primary || process.set().is_none()).into(),
    ));
    fields.push(("secondary", is_secondary.into()));
    if node.is_in_set() && node.disk.is_arbiter {
        fields.push(("arbiterOnly", true.into()));
    }
    Bson::doc(fields)
}

fn status(world: &World, node: &Node, process: &Process) -> Result<Bson, MongoError> {
    let config = in_set(node, process)?;
    if !node.is_in_set() {
        return Err(bad(
            93,
            "InvalidReplicaSetConfig",
            "Our replica set config is invalid or we are not a member of it",
        ));
    }
    let members = config.members().into_iter().map(|member| {
        let (host, _) = member.name().rsplit_once(':').expect("a port");
        let at = world
            .nodes
            .iter()
            .find(|node| node.name == host && node.is_in_set());
        let (state, words) = match at {
            None => (8, "(not reachable/healthy)"),
            Some(node) if world.primary == Some(node.name) => (1, "PRIMARY"),
            Some(node) if node.disk.is_arbiter => (7, "ARBITER"),
            Some(node) if node.disk.has_data => (2, "SECONDARY"),
            Some(_) => (5, "STARTUP2"),
        };
        let at_ms = at
            .filter(|node| node.disk.has_data)
            .map_or(0, |node| 1_000_000_000 - node.lag_s * 1000);
        Bson::doc([
            ("name", member.name().into()),
            ("health", Bson::double(if at.is_some() { 1.0 } else { 0.0 })),
            ("state", state.into()),
            ("stateStr", words.into()),
            ("optimeDate", Bson::Date(at_ms)),
            (
                "lastHeartbeatMessage",
                if at.is_some() { "" } else { "Connection refused" }.into(),
            ),
        ])
    });
    let set = config.document().get("_id").cloned().expect("a name");
    Ok(Bson::doc([
        ("set", set),
        ("term", world.term.into()),
        ("members", Bson::Array(members.collect())),
    ]))
}

fn users(node: &Node) -> Bson {
    let users = node.disk.users.iter().map(|(name, (_, roles))| {
        let roles = roles
            .iter()
            .map(|(role, db)| Bson::doc([("role", role.as_str().into()), ("db", db.as_str().into())]));
        Bson::doc([
            ("user", name.as_str().into()),
            ("db", "admin".into()),
            ("roles", Bson::Array(roles.collect())),
        ])
    });
    Bson::doc([("users", Bson::Array(users.collect()))])
}

/// Does what a command says, or panics with why the server would not.
pub(super) fn change(world: &mut World, host: &str, command: &MongoCommand) {
    let field = |name: &str| {
        command
            .fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    let is_primary = world.primary == Some(world.node(host).name);
    match command.name() {
        "replSetInitiate" => initiate(world, host, field("replSetInitiate").expect("a document")),
        "replSetReconfig" => {
            assert!(is_primary, "NotWritablePrimary");
            reconfigure(world, host, field("replSetReconfig").expect("a document"));
        }
        "replSetStepDown" => {
            assert!(is_primary, "NotWritablePrimary");
            world.step_down();
        }
        "setDefaultRWConcern" => {
            assert!(is_primary, "NotWritablePrimary");
            world.node_mut(host).disk.has_write_concern = true;
        }
        "createUser" | "updateUser" => {
            assert!(is_primary, "NotWritablePrimary");
            let name = field(command.name())
                .and_then(Bson::as_str)
                .expect("a name")
                .to_owned();
            let users = &mut world.node_mut(host).disk.users;
            let is_new = command.name() == "createUser";
            assert_eq!(users.contains_key(&name), !is_new, "{command}");
            let user = users.entry(name).or_default();
            if let Some(password) = field("pwd").and_then(Bson::as_str) {
                password.clone_into(&mut user.0);
            }
            if let Some(roles) = field("roles") {
                let text =
                    |role: &Bson, name: &str| role.get(name).and_then(Bson::as_str).expect("text").to_owned();
                user.1 = roles
                    .items()
                    .iter()
                    .map(|role| (text(role, "role"), text(role, "db")))
                    .collect();
            }
        }
        other => panic!("nobody does {other}"),
    }
}

fn initiate(world: &mut World, host: &str, document: &Bson) {
    let mut document = document.clone();
    let own = world
        .node(host)
        .process
        .as_ref()
        .and_then(|process| process.set())
        .expect("--replSet")
        .to_owned();
    assert_eq!(document.get("_id").and_then(Bson::as_str), Some(own.as_str()));
    assert!(world.node(host).disk.config.is_none(), "AlreadyInitialized");
    if let Bson::Doc(fields) = &mut document {
        let id = Bson::doc([("replicaSetId", Bson::ObjectId(format!("{host}{}", world.now)))]);
        fields.push(("settings".to_owned(), id));
    }
    let config = SetConfig::read(&document);
    for member in config.members() {
        let (name, _) = member.name().rsplit_once(':').expect("a port");
        let node = world.node(name);
        assert!(node.replicates(), "NodeNotFound: {name}");
        assert!(node.disk.config.is_none(), "{name} has a configuration");
        assert!(
            name == host || node.disk.databases.is_empty(),
            "CannotInitializeNodeWithData: {name}"
        );
    }
    let disk = &mut world.node_mut(host).disk;
    disk.config = Some(config);
    disk.has_data = true;
}

fn reconfigure(world: &mut World, host: &str, document: &Bson) {
    let old = world.node(host).disk.config.clone().expect("a configuration");
    let mut document = document.clone();
    if let Bson::Doc(fields) = &mut document
        && !fields.iter().any(|(name, _)| name == "settings")
    {
        let id = Bson::doc([("replicaSetId", old.set_id().expect("an id").clone())]);
        fields.push(("settings".to_owned(), id));
        fields.push(("term".to_owned(), world.term.into()));
    }
    let new = SetConfig::read(&document);
    assert_eq!(new.version(), old.version() + 1);
    let votes = |config: &SetConfig| -> Vec<i64> {
        let voters = config.members().into_iter().filter(Member::votes);
        voters.map(|member| member.id()).collect()
    };
    let (before, after) = (votes(&old), votes(&new));
    let changed = before.iter().filter(|id| !after.contains(id)).count()
        + after.iter().filter(|id| !before.contains(id)).count();
    assert!(changed <= 1, "can only add or remove at most 1 voting member");
    for member in new.members() {
        assert!(
            member.votes() || member.priority() == 0.0,
            "priority must be 0 when non-voting"
        );
        let document = member.document();
        let is_apart = ["hidden", "secondaryDelaySecs"];
        let is_apart = is_apart
            .iter()
            .any(|name| document.get(name).is_some_and(Bson::is_true));
        assert!(
            !is_apart || member.priority() == 0.0,
            "priority must be 0 when hidden=true"
        );
        let known = old
            .members()
            .into_iter()
            .find(|it| it.id() == member.id() || it.name() == member.name());
        assert!(
            known.is_none_or(|it| it.id() == member.id() && it.name() == member.name()),
            "an _id was used again"
        );
        let is_new_arbiter = member.is_arbiter() && old.member(member.name()).is_none();
        assert!(
            !is_new_arbiter || world.node(host).disk.has_write_concern,
            "setDefaultRWConcern"
        );
    }
    let can_lead = |member: &Member| member.priority() > 0.0;
    assert!(
        new.members().iter().any(can_lead),
        "at least one electable member"
    );
    world.node_mut(host).disk.config = Some(new);
}
