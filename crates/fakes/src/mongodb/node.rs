//! One host with its server: its options, its disk, and its knowledge of the others.

use std::collections::{BTreeMap, BTreeSet};

use protocol::facts::{Bson, MongoUser};
use serde_json::Value;

use crate::Machine;
use formats::mongod_conf::Conf;
use formats::replset::{MemberConfig, SetConfig};

pub const UNIT: &str = "mongod.service";
pub const CONF: &str = "/etc/mongod.conf";
pub const LOCK: &str = "/var/lib/mongodb/mongod.lock";
/// Written when a database is made.
pub const MADE: &str = "/var/lib/mongodb/WiredTiger";

/// A host.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that can be wrong with a host"
)]
pub struct Node {
    pub name: String,
    /// The address or full name by which its set knows it, where that is not its name.
    pub alias: Option<String>,
    pub machine: Machine,
    /// The options on its unit's command line beside `--config`, with the keys of mongod.conf that they override.
    pub options: Vec<(&'static str, &'static str, Value)>,
    /// Whether the host is up.
    pub is_up: bool,
    /// Whether the other hosts are out of its reach.
    pub is_cut: bool,
    pub process: Option<Process>,
    pub disk: Disk,
    /// How far it stays behind although it could keep up, in seconds.
    pub lag_s: i64,
    /// Whether it never gets the data: a copy that takes long.
    pub is_copying: bool,
    /// Whether the agent on it can be reached.
    pub is_reachable: bool,
    /// Whether systemd starts the server once it has stopped.
    pub is_restarting: bool,
    /// Until when the command that it was sent last goes on.
    pub busy_us: i64,
}

/// The disk of a server.
#[derive(Clone, Default)]
pub struct Disk {
    pub config: Option<SetConfig>,
    /// The latest term that it heard of, or voted in.
    pub term: i64,
    pub data: Data,
    /// Whether these data are its set's.
    pub has_data: bool,
    /// When it had all that the primary had, for the last time.
    pub reached_us: i64,
}

/// The data that the members of a set replicate.
#[derive(Clone, Default, PartialEq)]
pub struct Data {
    /// How far the oplog goes: the term of its last entry, and its number. Who has the same has the same data.
    pub at: (i64, u64),
    /// Password and roles by database and name, as in `admin.altcraft`.
    pub users: BTreeMap<String, (String, Vec<(String, String)>)>,
    /// Users that were made for SCRAM-SHA-1 alone.
    pub sha_1_users: BTreeSet<&'static str>,
    pub databases: Vec<&'static str>,
    /// The values that clients wrote.
    pub values: BTreeSet<u64>,
    pub has_write_concern: bool,
}

/// A server that runs. Moments are microseconds since 1970.
#[derive(Clone)]
pub struct Process {
    /// When it begins to answer.
    pub answers_us: i64,
    pub port: u16,
    conf: Conf,
    text: String,
    /// The key by which members know each other.
    key: Option<String>,
    /// The term that it leads, as the primary.
    pub leads: Option<i64>,
    /// Whether it has all that the primary has.
    pub is_synced: bool,
    /// When it will have.
    pub synced_us: Option<i64>,
    /// Since when it hears of no primary.
    pub leaderless_us: Option<i64>,
    /// Since when it is the primary of no majority.
    pub without_majority_us: Option<i64>,
    /// Since when it could take over from a primary of less weight.
    pub takeover_us: Option<i64>,
    /// Until when it does not stand for election.
    pub stands_back_us: i64,
    /// When the others hear of the term that it wrote into the configuration, as the primary.
    pub told_us: i64,
    /// When it ends, where it was told to: until then it takes leave of its clients.
    pub ends_us: Option<i64>,
}

impl Process {
    /// Starts as mongod does, or says why it would not.
    fn start(node: &Node, version: &str, answers_us: i64) -> Result<Self, String> {
        let machine = &node.machine;
        let file = Conf::parse(machine.text(CONF)).map_err(|bad| bad.why)?;
        let overridden = node.options.iter();
        let overridden = overridden.map(|(_, path, value)| ((*path).to_owned(), Some(value.clone())));
        let text = file
            .edit(&overridden.collect::<Vec<_>>())
            .map_err(|bad| bad.why)?;
        let conf = Conf::parse(&text).map_err(|bad| bad.why)?;
        if let Some(why) = conf.refused() {
            return Err(why);
        }
        let most = conf.get("net.maxIncomingConnections");
        if most.is_some_and(|most| most.as_u64().is_none()) {
            return Err("Error parsing option \"net.maxIncomingConnections\" as int".to_owned());
        }
        let path = conf.get("security.keyFile").and_then(Value::as_str);
        let key = match path {
            None => None,
            Some(path) => {
                let file = machine.files.get(path);
                let file = file.ok_or_else(|| format!("error opening file: {path}"))?;
                if !matches!(file.mode, 0o400 | 0o600) || file.owner != "mongodb" {
                    return Err(format!("permissions on {path} are too open"));
                }
                Some(file.text.clone())
            }
        };
        let is_old = version.starts_with("4.") || version.starts_with("5.");
        if !is_old && conf.get("storage.journal.enabled").is_some() {
            return Err("Unrecognized option: storage.journal.enabled".to_owned());
        }
        let port = conf.get("net.port").and_then(Value::as_u64).unwrap_or(27017);
        Ok(Self {
            answers_us,
            port: u16::try_from(port).map_err(|_| format!("{port} is no port"))?,
            conf,
            text,
            key,
            leads: None,
            is_synced: false,
            synced_us: None,
            leaderless_us: None,
            without_majority_us: None,
            takeover_us: None,
            stands_back_us: 0,
            told_us: 0,
            ends_us: None,
        })
    }

    /// The set that it was told to be of.
    pub fn set(&self) -> Option<&str> {
        self.conf.get("replication.replSetName")?.as_str()
    }

    pub fn has_auth(&self) -> bool {
        let authorization = self.conf.get("security.authorization").and_then(Value::as_str);
        authorization == Some("enabled") || self.key.is_some()
    }

    /// The options as `getCmdLineOpts` shows them.
    pub fn parsed(&self) -> Bson {
        let tree = serde_saphyr::from_str::<Value>(&self.text).map_or(Bson::Null, |tree| bson(&tree));
        let file = ("config".to_owned(), CONF.into());
        Bson::Doc(
            std::iter::once(file)
                .chain(tree.fields().iter().cloned())
                .collect(),
        )
    }

    /// Whether it closes a connection that does not begin with TLS.
    pub fn requires_tls(&self) -> bool {
        self.conf.get("net.tls.mode").and_then(Value::as_str) == Some("requireTLS")
    }

    /// Whether two servers let each other in.
    pub fn knows(&self, other: &Self) -> bool {
        self.key == other.key && self.set() == other.set()
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

impl Node {
    /// A host with MongoDB's package, which neither starts nor enables its server.
    pub fn packaged(name: &str, conf: &str, now_us: i64) -> Self {
        let mut machine = Machine::default();
        machine.write(CONF, conf, 0o644, "root", now_us);
        machine.unit(UNIT);
        Self {
            name: name.to_owned(),
            alias: None,
            machine,
            options: Vec::new(),
            is_up: true,
            is_cut: false,
            process: None,
            disk: Disk::default(),
            lag_s: 0,
            is_copying: false,
            is_reachable: true,
            is_restarting: false,
            busy_us: 0,
        }
    }

    /// The server starts, again where it runs. One that finds something wrong with its files dies at once, and systemd
    /// still reports success.
    pub fn start(&mut self, version: &str, now_us: i64, start_us: i64) {
        self.machine.unit(UNIT).start(now_us);
        self.process = Process::start(self, version, now_us + start_us).ok();
        if self.process.is_none() {
            self.machine.unit(UNIT).die();
        } else if !self.machine.files.contains_key(LOCK) {
            self.machine.write(LOCK, "", 0o600, "mongodb", now_us);
            self.machine.write(MADE, "WiredTiger\n", 0o600, "mongodb", now_us);
        }
    }

    /// What `systemctl show --property=ExecStart` says of its unit.
    pub fn command_line(&self) -> String {
        if !self.machine.units.contains_key(UNIT) {
            return String::new();
        }
        let options = self.options.iter();
        let options = options.map(|(name, _, value)| match value {
            Value::Bool(_) => format!(" {name}"),
            Value::String(text) => format!(" {name} {text}"),
            other => format!(" {name}={other}"),
        });
        let options: String = options.collect();
        format!(
            "ExecStart={{ path=/usr/bin/mongod ; argv[]=/usr/bin/mongod --config {CONF}{options} ; ignore_errors=no ; \
             start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}\n"
        )
    }

    /// The server is stopped.
    pub fn stop(&mut self) {
        self.process = None;
        self.machine.unit(UNIT).stop();
    }

    /// A server that replicates is told to stop: it leads no more, and takes leave of its clients before it ends, so that
    /// they find another (`shutdownTimeoutMillisForSignaledShutdown`). Whether it does.
    pub fn quiesce(&mut self, now_us: i64, quiesce_us: i64) -> bool {
        let is_data = self.own().is_some_and(|own| !own.is_arbiter());
        let process = self.process.as_mut();
        let answers = process.filter(|process| process.answers_us <= now_us);
        let Some(process) = answers.filter(|_| is_data && quiesce_us > 0) else {
            return false;
        };
        process.leads = None;
        process.ends_us.get_or_insert(now_us + quiesce_us);
        self.machine.unit(UNIT).is_stopping = true;
        true
    }

    /// Whether its server takes leave.
    pub fn is_quiescing(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.ends_us.is_some())
    }

    /// The server, where it answers by now.
    pub fn server(&self, now_us: i64) -> Option<&Process> {
        self.process
            .as_ref()
            .filter(|process| process.answers_us <= now_us)
    }

    /// Its name in a set.
    pub fn member_name(&self) -> String {
        let port = self.process.as_ref().map_or(27017, |process| process.port);
        format!("{}:{port}", self.alias.as_ref().unwrap_or(&self.name))
    }

    /// Its own entry in its configuration; `None` where it runs in no set.
    pub fn own(&self) -> Option<MemberConfig> {
        let set = self.process.as_ref()?.set()?;
        let config = self.disk.config.as_ref()?;
        (config.name() == set).then(|| config.member(&self.member_name()))?
    }

    pub fn is_arbiter(&self) -> bool {
        self.own().is_some_and(|own| own.is_arbiter())
    }

    pub fn is_primary(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.leads.is_some())
    }

    /// Whether it has the set's data, and can be read.
    pub fn is_secondary(&self) -> bool {
        self.own().is_some_and(|own| !own.is_arbiter()) && !self.is_primary() && self.disk.has_data
    }

    /// Whether it has what the primary has, as soon as the primary has it.
    pub fn keeps_up(&self) -> bool {
        let is_synced = self.process.as_ref().is_some_and(|process| process.is_synced);
        is_synced && self.lag_s == 0 && self.own().is_some_and(|own| own.delay() == 0)
    }

    /// Whether it accepts a user's password.
    pub fn accepts(&self, user: &MongoUser) -> bool {
        let known = self
            .disk
            .data
            .users
            .get(&format!("{}.{}", user.auth_db, user.name));
        known.is_some_and(|(password, _)| *password == format!("⟪secret:{}⟫", user.password))
    }
}
