//! How the world answers the agent's queries.

use protocol::facts::{FileFact, FileKind, FileMeta, RespCommand, RespFact, RespQuery, RespValue, Silence};
use protocol::{Fact, FactError, FactQuery, Text};
use types::HostName;

use formats::engine::Engine;

use super::sentinel::{Peer, Watched};
use super::server::{Link, Server};
use super::{Cluster, SENTINEL_ALIAS, Sentinel};

/// The offset of a replication that nobody has written to.
const FIRST: i64 = 5_000_000;

impl Cluster {
    /// What the agent answers; `None` where the question is about nothing of the store.
    pub fn tell_fact(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>> {
        let at = self.named(host.as_str())?;
        let machine = &self.nodes[at].machine;
        let defaults = self.engine.defaults();
        let fact = match query {
            FactQuery::Unit(query) => {
                let units = [defaults.unit, defaults.sentinel_unit];
                let is_ours = units.contains(&query.name.as_str());
                is_ours.then(|| {
                    let mut fact = machine.unit_fact(&query.name);
                    let is_read = self.has_drop_in(at) == self.nodes[at].has_read_drop_in;
                    fact.stale = query.name == defaults.unit && fact.exists() && !is_read;
                    Fact::Unit(fact)
                })
            }
            FactQuery::File(query) if defaults.data.contains(&query.path.as_str()) => {
                Some(Fact::File(self.data_file(at)))
            }
            FactQuery::File(query) => {
                let (directory, drop_in) = self.drop_in();
                let files = [
                    defaults.config,
                    defaults.sentinel_config,
                    &directory,
                    &drop_in,
                    SENTINEL_ALIAS,
                ];
                let is_ours = files.contains(&query.path.as_str());
                is_ours.then(|| Fact::File(machine.file_fact(query)))
            }
            FactQuery::Package(query) => {
                let packages = [defaults.package, defaults.sentinel_package];
                let is_ours = packages.contains(&query.name.as_str());
                is_ours.then(|| Fact::Package(machine.package_fact(&query.name)))
            }
            FactQuery::Resp(query) => Some(Fact::Resp(self.talk(at, query))),
            FactQuery::Resolve(query) => self.named(&query.name).map(|at| {
                Fact::Resolve(protocol::facts::ResolveFact {
                    addresses: vec![self.nodes[at].address.clone()],
                })
            }),
            _ => None,
        }?;
        if self.nodes[at].is_down {
            return Some(Err(FactError {
                message: "the host is down".to_owned(),
            }));
        }
        Some(Ok(fact))
    }

    fn data_file(&self, at: usize) -> FileFact {
        if !self.nodes[at].has_data_files {
            return FileFact::Absent;
        }
        FileFact::Present(FileMeta {
            kind: FileKind::Other,
            sha256: String::new(),
            len: 0,
            mode: 0o660,
            owner: self.engine.defaults().owner.to_owned(),
            group: self.engine.defaults().owner.to_owned(),
            modified_us: 0,
            text: None,
            target: String::new(),
            names: 0,
            ahead_us: 0,
            changed_us: 0,
        })
    }

    fn talk(&self, from: usize, query: &RespQuery) -> RespFact {
        let at = self.at(&query.address).unwrap_or(from);
        if !self.reaches(from, at) {
            return RespFact::Down(Silence::no_answer("connection timed out"));
        }
        if let Some(sentinel) = self.sentinel(at).filter(|sentinel| sentinel.port == query.port) {
            if let Some(shuns) = &sentinel.shuns {
                return shuns.clone();
            }
            let commands = query.commands.iter();
            return RespFact::Replies {
                authenticated: false,
                replies: commands
                    .map(|command| self.sentinel_reply(at, sentinel, &words(command)))
                    .collect(),
            };
        }
        let server = self
            .server(at)
            .filter(|server| server.port == query.port && server.listens_at(&query.address));
        let Some(server) = server else {
            return RespFact::Down(Silence::refused());
        };
        if let Some(shuns) = &server.shuns {
            return shuns.clone();
        }
        let shown = query.password.as_ref().map(Text::secret);
        if server.asks() && shown.as_ref().map(Text::as_str) != Some(server.requirepass.as_str()) {
            return RespFact::Denied(self.wrong_password().to_owned());
        }
        let commands = query.commands.iter();
        RespFact::Replies {
            authenticated: server.asks(),
            replies: commands
                .map(|command| self.server_reply(at, server, &words(command)))
                .collect(),
        }
    }

    /// What AUTH answers to another password (recorded: Kvrocks 2.6, Redis 7.0).
    pub(super) fn wrong_password(&self) -> &'static str {
        match self.engine {
            Engine::Kvrocks => "ERR invalid password",
            Engine::Redis | Engine::Valkey => "WRONGPASS invalid username-password pair or user is disabled.",
        }
    }

    #[expect(
        clippy::panic,
        reason = "a command that the world does not know is a defect of the kind, or of the world"
    )]
    fn server_reply(&self, at: usize, server: &Server, words: &[&str]) -> RespValue {
        let keys = i64::try_from(self.nodes[at].data.len()).unwrap_or(i64::MAX);
        match words {
            ["INFO", "replication"] => string(&self.replication(at, server)),
            // Kvrocks counts keys when it is told to, and nobody tells it (recorded, 2.6: 6 keys, and DBSIZE is 0).
            ["INFO", "keyspace"] if self.engine == Engine::Kvrocks => {
                string("# Keyspace\r\ndb0:keys=0,expires=0,avg_ttl=0,expired=0\r\n")
            }
            ["DBSIZE"] if self.engine == Engine::Kvrocks => RespValue::Int(0),
            ["INFO", "keyspace"] if keys > 0 => {
                string(&format!("# Keyspace\r\ndb0:keys={keys},expires=0,avg_ttl=0\r\n"))
            }
            ["INFO", "persistence"] => string("# Persistence\r\nloading:0\r\n"),
            ["INFO", _] => string(""),
            ["DBSIZE"] => RespValue::Int(keys),
            ["SCAN", ..] => {
                let found = (keys > 0).then(|| string("⟪kept:0+3⟫"));
                RespValue::List(vec![string("0"), RespValue::List(found.into_iter().collect())])
            }
            ["NAMESPACE", "GET", "*"] => {
                let file = self.nodes[at].machine.text(self.config());
                let named = file.lines().filter(|line| line.starts_with("namespace.")).count();
                RespValue::List(vec![string("⟪kept:0+9⟫"); 2 * (named + 1)])
            }
            ["EVAL" | "EVAL_RO", ..] => string(if server.follows.is_some() {
                "slave"
            } else {
                "master"
            }),
            ["CONFIG", "GET", key] => match server.live(key) {
                None => RespValue::List(Vec::new()),
                // What is empty is nil for Kvrocks (recorded, 2.6: `slaveof`).
                Some(value) if value.is_empty() && self.engine == Engine::Kvrocks => {
                    RespValue::List(vec![string(key), RespValue::Nil])
                }
                Some(value) => RespValue::List(vec![string(key), string(&value)]),
            },
            other => panic!("the engine does not know {other:?}"),
        }
    }

    fn replication(&self, at: usize, server: &Server) -> String {
        let offset = FIRST + self.nodes[at].offset;
        let linked = self.replicas_of(at).len();
        let role = match &server.follows {
            None => "role:master\r\n".to_owned(),
            Some((ip, port)) => {
                let link = if server.link == Link::Up { "up" } else { "down" };
                let copying = i32::from(matches!(server.link, Link::Copying(_)));
                let own = offset - server.lag;
                format!(
                    "role:slave\r\nmaster_host:{ip}\r\nmaster_port:{port}\r\nmaster_link_status:{link}\r\n\
                     master_sync_in_progress:{copying}\r\nslave_repl_offset:{own}\r\n"
                )
            }
        };
        format!("# Replication\r\n{role}connected_slaves:{linked}\r\nmaster_repl_offset:{offset}\r\n")
    }

    #[expect(
        clippy::panic,
        reason = "a command that the world does not know is a defect of the kind, or of the world"
    )]
    fn sentinel_reply(&self, at: usize, sentinel: &Sentinel, words: &[&str]) -> RespValue {
        if let ["SENTINEL", "MASTERS"] = words {
            let rows = sentinel.watched.iter().map(|watched| {
                let flags = self.flags(watched, &Peer::Engine(watched.ip.clone()), "master");
                let mut row = watched.fields(flags);
                let since = watched.settled_us.max(sentinel.answers_us);
                row.push(("role-reported-time", ((self.now - since) / 1_000).to_string()));
                pairs(&row)
            });
            return RespValue::List(rows.collect());
        }
        let ["SENTINEL", what, name] = words else {
            panic!("the sentinel does not know {words:?}");
        };
        let Some(watched) = sentinel.watched(name) else {
            return if *what == "GET-MASTER-ADDR-BY-NAME" {
                RespValue::Nil
            } else {
                RespValue::Error("ERR No such master with that name".to_owned())
            };
        };
        match *what {
            "GET-MASTER-ADDR-BY-NAME" => {
                RespValue::List(vec![string(&watched.ip), string(&watched.port.to_string())])
            }
            "SENTINELS" => {
                let rows = watched.others.iter().map(|ip| {
                    let flags = self.flags(watched, &Peer::Sentinel(ip.clone()), "sentinel");
                    pairs(&[
                        ("ip", ip.clone()),
                        ("port", sentinel.port.to_string()),
                        ("flags", flags),
                    ])
                });
                RespValue::List(rows.collect())
            }
            "REPLICAS" => {
                let rows = watched
                    .replicas
                    .iter()
                    .map(|ip| self.replica_row(at, watched, ip));
                RespValue::List(rows.collect())
            }
            "CKQUORUM" => self.quorum(watched),
            other => panic!("the sentinel does not know SENTINEL {other}"),
        }
    }

    /// The flags of somebody whom a sentinel knows: `s_down` only after a while.
    fn flags(&self, watched: &Watched, peer: &Peer, kind: &str) -> String {
        match watched.unseen.get(peer) {
            None => kind.to_owned(),
            Some(since) if since.saturating_add(self.tempo.down) <= self.now => {
                format!("{kind},s_down,disconnected")
            }
            Some(_) if self.answers_somebody(watched, peer) => kind.to_owned(),
            Some(_) => format!("{kind},disconnected"),
        }
    }

    /// Whether an engine answers, in a role that a sentinel does not expect.
    fn answers_somebody(&self, watched: &Watched, peer: &Peer) -> bool {
        let Peer::Engine(ip) = peer else { return false };
        let at = self.at(ip);
        at.is_some_and(|at| self.engine_at(at, ip, watched.port, &watched.auth_pass).is_some())
    }

    fn replica_row(&self, at: usize, watched: &Watched, ip: &str) -> RespValue {
        let flags = self.flags(watched, &Peer::Engine(ip.to_owned()), "slave");
        let found = self.engine_at(at, ip, watched.port, &watched.auth_pass);
        let is_linked = found.is_some_and(|(_, server)| server.link == Link::Up && server.follows.is_some());
        let offset = self.at(ip).map_or(0, |at| FIRST + self.nodes[at].offset);
        pairs(&[
            ("ip", ip.to_owned()),
            ("port", watched.port.to_string()),
            ("flags", flags),
            (
                "master-link-status",
                if is_linked { "ok" } else { "err" }.to_owned(),
            ),
            ("slave-priority", "100".to_owned()),
            ("slave-repl-offset", offset.to_string()),
        ])
    }

    /// CKQUORUM counts those that are not `s_down`.
    fn quorum(&self, watched: &Watched) -> RespValue {
        let is_down = |ip: &&String| {
            let since = watched.unseen.get(&Peer::Sentinel((*ip).clone()));
            since.is_some_and(|since| since.saturating_add(self.tempo.down) <= self.now)
        };
        let usable = 1 + watched.others.iter().filter(|ip| !is_down(ip)).count();
        let mut why = Vec::new();
        if usable < watched.quorum {
            why.push("Not enough available Sentinels to reach the specified quorum for this master");
        }
        if usable < watched.voters() / 2 + 1 {
            why.push("Not enough available Sentinels to reach the majority and authorize a failover");
        }
        if why.is_empty() {
            let words = "Quorum and failover authorization can be reached";
            return string(&format!("OK {usable} usable Sentinels. {words}"));
        }
        RespValue::Error(format!("NOQUORUM {usable} usable Sentinels. {}", why.join(". ")))
    }
}

fn words(command: &RespCommand) -> Vec<&str> {
    command.args.iter().map(Text::as_str).collect()
}

fn string(text: &str) -> RespValue {
    RespValue::Str(text.into())
}

fn pairs(fields: &[(&str, String)]) -> RespValue {
    let items = fields
        .iter()
        .flat_map(|(name, value)| [string(name), string(value)]);
    RespValue::List(items.collect())
}
