//! How the world answers the agent's queries.

use protocol::facts::{
    FileFact, FileKind, FileMeta, FileQuery, ResolveFact, RespFact, RespQuery, RespValue, UnitFact,
};
use protocol::{Fact, FactQuery};

use super::servers::{Engine, Sentinel, Watched};
use super::world::{Node, OURS, World};

impl World {
    pub(super) fn answer(&self, node: &Node, query: &FactQuery) -> Fact {
        match query {
            FactQuery::Unit(query) => Fact::Unit(unit(node, &query.name)),
            FactQuery::File(query) => Fact::File(file(node, query)),
            FactQuery::Resp(query) => Fact::Resp(self.talk(node, query)),
            FactQuery::Resolve(query) => {
                let known = self.nodes.iter().find(|node| node.name == query.name);
                Fact::Resolve(ResolveFact {
                    addresses: known.map(|node| node.address.clone()).into_iter().collect(),
                })
            }
            other => panic!("nobody answers {other:?}"),
        }
    }

    fn talk(&self, node: &Node, query: &RespQuery) -> RespFact {
        let refused = || RespFact::Down("connection refused".to_owned());
        if let Some(sentinel) = &node.sentinel
            && query.port == sentinel.port
        {
            let commands = query.commands.iter();
            return RespFact::Replies {
                authenticated: false,
                replies: commands
                    .map(|command| self.sentinel_reply(node, sentinel, &words(command)))
                    .collect(),
            };
        }
        let Some(engine) = &node.engine else {
            return refused();
        };
        if engine.port != query.port || !engine.listens_at(&query.address) {
            return refused();
        }
        if engine.asks() && engine.requirepass != OURS {
            return RespFact::Denied(
                "WRONGPASS invalid username-password pair or user is disabled.".to_owned(),
            );
        }
        let commands = query.commands.iter();
        RespFact::Replies {
            authenticated: engine.asks(),
            replies: commands
                .map(|command| self.engine_reply(node, engine, &words(command)))
                .collect(),
        }
    }

    fn engine_reply(&self, node: &Node, engine: &Engine, words: &[String]) -> RespValue {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["INFO", "replication"] => {
                let role = match &engine.follows {
                    None => "role:master\r\n".to_owned(),
                    Some((ip, port)) => format!(
                        "role:slave\r\nmaster_host:{ip}\r\nmaster_port:{port}\r\nmaster_link_status:{}\r\n\
                         slave_repl_offset:{}\r\n",
                        if self.linked_to(node).is_some() {
                            "up"
                        } else {
                            "down"
                        },
                        if self.linked_to(node).is_some() {
                            5_000_000 - engine.lag
                        } else {
                            1
                        },
                    ),
                };
                let replicas = self.replicas_of(&node.address);
                let linked = replicas
                    .iter()
                    .filter(|node| self.linked_to(node).is_some())
                    .count();
                string(&format!(
                    "# Replication\r\n{role}connected_slaves:{linked}\r\nmaster_repl_offset:5000000\r\n"
                ))
            }
            ["INFO", "keyspace"] if node.keys > 0 => string(&format!(
                "# Keyspace\r\ndb0:keys={},expires=0,avg_ttl=0\r\n",
                node.keys
            )),
            ["INFO", _] => string("loading:0\r\n"),
            ["DBSIZE"] => RespValue::Int(node.keys),
            ["SCAN", ..] => {
                let keys = (node.keys > 0)
                    .then(|| string("⟪kept:0+3⟫"))
                    .into_iter()
                    .collect();
                RespValue::List(vec![string("0"), RespValue::List(keys)])
            }
            ["NAMESPACE", "GET", "*"] => {
                let file = &node.files[self.config()].0;
                let named = file.lines().filter(|line| line.starts_with("namespace.")).count();
                RespValue::List(vec![string("⟪kept:0+9⟫"); 2 * (named + 1)])
            }
            ["EVAL" | "EVAL_RO", ..] => string(if engine.follows.is_some() {
                "slave"
            } else {
                "master"
            }),
            ["CONFIG", "GET", key] => match engine.live(key) {
                None => RespValue::List(Vec::new()),
                Some(value) => RespValue::List(vec![string(key), string(&value)]),
            },
            other => panic!("the engine does not know {other:?}"),
        }
    }

    fn sentinel_reply(&self, node: &Node, sentinel: &Sentinel, words: &[String]) -> RespValue {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let known = |name: &str| sentinel.watched.iter().find(|watched| watched.name == name);
        let no_master = || RespValue::Error("ERR No such master with that name".to_owned());
        let others = |name: &str| {
            let others = self.nodes.iter().filter(|other| other.name != node.name);
            let watch = |other: &&Node| {
                let sentinel = other.sentinel.as_ref();
                sentinel.is_some_and(|sentinel| sentinel.watched.iter().any(|watched| watched.name == name))
            };
            others.filter(watch).collect::<Vec<_>>()
        };
        match words.as_slice() {
            ["SENTINEL", "MASTERS"] => {
                let rows = sentinel.watched.iter().map(|watched| {
                    let mut row = watched.fields();
                    row.push(("num-slaves", self.replicas_of(&watched.ip).len().to_string()));
                    row.push(("num-other-sentinels", others(&watched.name).len().to_string()));
                    pairs(&row)
                });
                RespValue::List(rows.collect())
            }
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name] => known(name).map_or(RespValue::Nil, |watched| {
                RespValue::List(vec![string(&watched.ip), string(&watched.port.to_string())])
            }),
            [_, _, name] if known(name).is_none() => no_master(),
            ["SENTINEL", "SENTINELS", name] => {
                let rows = others(name)
                    .into_iter()
                    .map(|other| pairs(&[("name", other.name.to_owned())]));
                RespValue::List(rows.collect())
            }
            ["SENTINEL", "REPLICAS", name] => {
                let master = known(name).map(|watched| watched.ip.clone()).unwrap_or_default();
                let mut rows: Vec<RespValue> = Vec::new();
                for replica in self.replicas_of(&master) {
                    let link = if self.linked_to(replica).is_some() {
                        "ok"
                    } else {
                        "err"
                    };
                    rows.push(replica_row(&replica.address, "slave", link));
                }
                rows.extend(
                    sentinel
                        .lost
                        .iter()
                        .map(|ip| replica_row(ip, "slave,s_down", "err")),
                );
                RespValue::List(rows)
            }
            ["SENTINEL", "CKQUORUM", name] => {
                let usable = others(name).len() + 1;
                let is_enough = |watched: &Watched| usable >= watched.quorum && usable * 2 > sentinel.voters;
                if known(name).is_some_and(is_enough) {
                    string(&format!("OK {usable} usable Sentinels."))
                } else {
                    RespValue::Error(format!("NOQUORUM {usable} usable Sentinels. Not enough"))
                }
            }
            other => panic!("the sentinel does not know {other:?}"),
        }
    }
}

fn unit(node: &Node, name: &str) -> UnitFact {
    let (started, is_enabled) = if name.contains("sentinel") {
        (
            node.sentinel.as_ref().map(|sentinel| sentinel.started),
            node.sentinel_is_enabled,
        )
    } else {
        (node.engine.as_ref().map(|engine| engine.started), node.is_enabled)
    };
    let word = |yes: bool, a: &str, b: &str| if yes { a } else { b }.to_owned();
    UnitFact {
        load: word(node.is_installed, "loaded", "not-found"),
        active: word(started.is_some(), "active", "inactive"),
        sub: word(started.is_some(), "running", "dead"),
        enabled: word(is_enabled, "enabled", "disabled"),
        main_pid: u32::from(started.is_some()),
        started_us: started.unwrap_or(0),
        invocation: String::new(),
        stale: false,
    }
}

fn file(node: &Node, query: &FileQuery) -> FileFact {
    if query.path.starts_with("/var/lib") {
        return if node.has_data_files {
            FileFact::Present(meta("data", 0o660, "redis", 0, None))
        } else {
            FileFact::Absent
        };
    }
    match node.files.get(&query.path) {
        None => FileFact::Absent,
        Some((text, mode, owner, modified)) => {
            FileFact::Present(meta(text, *mode, owner, *modified, Some(text)))
        }
    }
}

pub(super) fn words(command: &protocol::facts::RespCommand) -> Vec<String> {
    command.args.iter().map(|arg| arg.as_str().to_owned()).collect()
}

pub(super) fn string(text: &str) -> RespValue {
    RespValue::Str(text.into())
}

fn pairs(fields: &[(&str, String)]) -> RespValue {
    let items = fields
        .iter()
        .flat_map(|(name, value)| [string(name), string(value)]);
    RespValue::List(items.collect())
}

fn replica_row(ip: &str, flags: &str, link: &str) -> RespValue {
    pairs(&[
        ("ip", ip.to_owned()),
        ("port", "6666".to_owned()),
        ("flags", flags.to_owned()),
        ("master-link-status", link.to_owned()),
        ("slave-priority", "100".to_owned()),
        ("slave-repl-offset", "5000000".to_owned()),
    ])
}

pub(super) fn hash(text: &str) -> String {
    format!("hash of {text:?}")
}

fn meta(content: &str, mode: u32, owner: &str, modified_us: i64, text: Option<&str>) -> FileMeta {
    FileMeta {
        kind: FileKind::File,
        sha256: hash(content),
        len: content.len() as u64,
        mode,
        owner: owner.to_owned(),
        group: owner.to_owned(),
        modified_us,
        text: text.map(Into::into),
    }
}
