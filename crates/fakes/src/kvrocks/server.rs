//! An engine's process: what it reads from its file, keeps in memory, and writes back.

use std::collections::BTreeMap;

use formats::directives::{Directives, normal, unquoted};
use formats::engine::Engine;
use protocol::facts::{RespFact, THIS_HOST};

/// The line of a default user who needs no password.
pub const OPEN_USER: &str = "user default on nopass ~* &* +@all";

/// A running engine.
#[derive(Clone)]
pub struct Server {
    engine: Engine,
    /// From when on it answers.
    pub answers_us: i64,
    pub port: u16,
    pub bind: String,
    pub requirepass: String,
    /// Whether the default user needs no password, whatever `requirepass` says.
    is_open: bool,
    pub masterauth: String,
    /// Whom it follows: address and port.
    pub follows: Option<(String, u16)>,
    /// Whether it was ever told whom to follow, be it nobody: Kvrocks writes that into its file.
    was_told: bool,
    pub link: Link,
    /// Until when it holds writes back, and what Sentinel tells it, for that waits behind Sentinel's own PUBLISH (ran).
    pub paused_us: i64,
    /// How far a test has it behind its master.
    pub lag: i64,
    /// What the agent meets instead of an answer, where a test says so: the members still reach each other.
    pub shuns: Option<RespFact>,
    others: BTreeMap<&'static str, String>,
}

/// A replica's link to its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// There is none since then.
    Down(i64),
    /// It is being sent a copy until then.
    Copying(i64),
    /// It has caught up.
    Up,
}

/// Directives that an engine knows, each with its default; what is not among them, or among [`SILENT`], Redis refuses to
/// start with and Kvrocks ignores.
fn known(engine: Engine) -> &'static [(&'static str, &'static str)] {
    match engine {
        Engine::Kvrocks => &[
            ("log-level", "info"),
            ("max-io-mb", "0"),
            ("maxclients", "10240"),
            ("tcp-backlog", "511"),
            ("use-rsid-psync", "no"),
            ("workers", "8"),
        ],
        Engine::Redis | Engine::Valkey => &[
            ("appendonly", "no"),
            ("databases", "16"),
            ("hash-max-listpack-entries", "512"),
            ("loglevel", "notice"),
            ("lua-time-limit", "5000"),
            ("maxclients", "10000"),
            ("maxmemory", "0"),
            ("save", "3600 1 300 100 60 10000"),
            ("slowlog-max-len", "128"),
            ("tcp-backlog", "511"),
        ],
    }
}

/// Directives of files that nobody asks a running engine for.
const SILENT: [&str; 14] = [
    "port",
    "bind",
    "requirepass",
    "masterauth",
    "slaveof",
    "replicaof",
    "user",
    "dir",
    "dbfilename",
    "appenddirname",
    "protected-mode",
    "daemonize",
    "logfile",
    "pidfile",
];

impl Server {
    /// Starts with what its file says; an error is what it prints before it ends.
    pub fn start(engine: Engine, text: &str, answers_us: i64) -> Result<Self, String> {
        let file = Directives::parse(text, engine);
        if engine != Engine::Kvrocks {
            refuse_unknown(engine, text)?;
        }
        // What it says there, as Redis 7.0 does (ran).
        if file
            .last("tcp-backlog")
            .is_some_and(|value| unquoted(value).parse::<u32>().is_err())
        {
            return Err("argument must be an integer".to_owned());
        }
        let last = |key: &str| file.last(key).map(unquoted).unwrap_or_default().to_owned();
        // For the others it is an alias.
        let role = last("slaveof");
        let follows = match role.split_whitespace().collect::<Vec<_>>().as_slice() {
            [ip, port] if *ip != "no" => Some(((*ip).to_owned(), port.parse().map_err(|_| "Invalid port")?)),
            _ => None,
        };
        let others = known(engine).iter().map(|&(key, default)| {
            let lines = file.all(key);
            let value = match lines.as_slice() {
                [] => default.to_owned(),
                lines if Engine::adds_up(key) => normal(&lines.join(" ")),
                [.., last] => normal(last),
            };
            (key, value)
        });
        Ok(Self {
            engine,
            answers_us,
            port: last("port").parse().unwrap_or(engine.defaults().port),
            bind: normal(file.last("bind").unwrap_or(engine.default_bind())),
            requirepass: last("requirepass"),
            is_open: text.contains(OPEN_USER),
            masterauth: last("masterauth"),
            was_told: !role.is_empty(),
            follows,
            link: Link::Down(answers_us),
            paused_us: 0,
            lag: 0,
            shuns: None,
            others: others.collect(),
        })
    }

    /// SLAVEOF.
    pub fn follow(&mut self, whom: Option<(String, u16)>, now: i64) {
        self.was_told = true;
        if self.follows != whom {
            self.follows = whom;
            self.link = Link::Down(now);
        }
    }

    /// Whether it asks for a password.
    pub fn asks(&self) -> bool {
        !self.requirepass.is_empty() && !self.is_open
    }

    pub fn listens_at(&self, address: &str) -> bool {
        address == THIS_HOST
            || self
                .bind
                .split_whitespace()
                .any(|bound| matches!(bound, "*" | "0.0.0.0") || bound == address)
    }

    /// Whether what it acknowledges survives the end of its process: Kvrocks writes to its store, Redis only with
    /// `appendonly`.
    pub fn keeps_all(&self) -> bool {
        self.engine == Engine::Kvrocks || self.others.get("appendonly").is_some_and(|value| value == "yes")
    }

    /// Whether it replaces a history that is not its master's by a copy. Kvrocks without `use-rsid-psync` kept a stray write,
    /// missed newer ones, and still showed an up link (seen).
    pub fn resyncs(&self) -> bool {
        self.others
            .get("use-rsid-psync")
            .is_none_or(|value| value == "yes")
    }

    pub fn live(&self, key: &str) -> Option<String> {
        match key {
            "port" => Some(self.port.to_string()),
            "bind" => Some(self.bind.clone()),
            "requirepass" => Some(self.requirepass.clone()),
            "masterauth" => Some(self.masterauth.clone()),
            "primaryauth" if self.engine == Engine::Valkey => Some(self.masterauth.clone()),
            other => self.others.get(self.known_as(other)?).cloned(),
        }
    }

    /// The name under which a directive is kept here.
    fn known_as(&self, name: &str) -> Option<&'static str> {
        let mut known = known(self.engine).iter();
        let found = known.find(|(known, _)| self.engine.is_same_directive(known, name));
        found.map(|(known, _)| *known)
    }

    /// The name that CONFIG REWRITE writes for a directive (ran: Redis 8.0.2, Valkey 8.1.1).
    fn written_as<'n>(&self, name: &'n str) -> &'n str {
        match (self.engine, name) {
            (Engine::Valkey, "masterauth") => "primaryauth",
            (Engine::Valkey, "slowlog-max-len") => "commandlog-slow-execution-max-len",
            (Engine::Redis | Engine::Valkey, "lua-time-limit") => "busy-reply-threshold",
            (Engine::Redis | Engine::Valkey, "hash-max-ziplist-entries") => "hash-max-listpack-entries",
            _ => name,
        }
    }

    /// CONFIG SET.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let refused = |key: &str, of_redis: String| {
            Err(match self.engine {
                Engine::Kvrocks => {
                    format!("ERR CONFIG SET '{key}' error: Unsupported CONFIG parameter: {key}")
                }
                Engine::Redis | Engine::Valkey => of_redis,
            })
        };
        match key {
            "requirepass" => {
                value.clone_into(&mut self.requirepass);
                self.is_open = false;
            }
            "masterauth" => value.clone_into(&mut self.masterauth),
            // This world has no port to move a server to.
            "port" | "bind" | "databases" | "tcp-backlog" | "use-rsid-psync" | "workers" => {
                return refused(
                    key,
                    format!(
                        "ERR CONFIG SET failed (possibly related to argument '{key}') - can't set immutable config"
                    ),
                );
            }
            other => match self.known_as(other).and_then(|key| self.others.get_mut(key)) {
                Some(live) => *live = normal(value),
                None => {
                    return refused(
                        key,
                        format!("ERR Unknown option or number of arguments for CONFIG SET - '{key}'"),
                    );
                }
            },
        }
        Ok(())
    }

    /// What CONFIG REWRITE makes of a file: each directive has the value that the process runs with. Redis and Valkey drop
    /// one at its default (seen).
    pub fn rewrite(&self, text: &str) -> String {
        if self.engine == Engine::Kvrocks {
            return self.rewrite_all(text);
        }
        let key = self.engine.replica_directive();
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            let known_as = self.known_as(name);
            let default = known(self.engine)
                .iter()
                .find(|(known, _)| Some(*known) == known_as);
            match self.live(name) {
                _ if [key, "slaveof", "user"].contains(&name) || line.starts_with("# Generated") => {}
                None => lines.push(line.to_owned()),
                Some(live) if default.is_some_and(|(_, default)| live == *default) => {}
                Some(live) => lines.push(format!("{} {live}", self.written_as(name))),
            }
        }
        let role = self.follows.as_ref().map(|(ip, port)| format!("{ip} {port}"));
        lines.push("# Generated by CONFIG REWRITE".to_owned());
        lines.extend(role.map(|role| format!("{key} {role}")));
        let user = if self.asks() {
            "user default ⟪kept:900+90⟫"
        } else {
            OPEN_USER
        };
        lines.push(user.to_owned());
        lines.join("\n") + "\n"
    }

    /// Kvrocks writes every directive with a value, defaults too: in its place, or in alphabetical order at the end
    /// (recorded, 2.6).
    fn rewrite_all(&self, text: &str) -> String {
        let role = match &self.follows {
            Some((ip, port)) => format!("\"{ip} {port}\""),
            None if self.was_told => "\"no one\"".to_owned(),
            None => String::new(),
        };
        let own = ["bind", "masterauth", "port", "requirepass"].into_iter();
        let own = own.filter_map(|key| Some((key, self.live(key)?)));
        let mut values: BTreeMap<&str, String> = own.collect();
        values.extend(self.others.iter().map(|(key, value)| (*key, value.clone())));
        values.insert("slaveof", role);
        values.retain(|_, value| !value.is_empty());
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            match values.remove(name.to_ascii_lowercase().as_str()) {
                Some(value) => lines.push(format!("{name} {value}")),
                None => lines.push(line.to_owned()),
            }
        }
        lines.extend(values.iter().map(|(name, value)| format!("{name} {value}")));
        lines.join("\n") + "\n"
    }
}

fn refuse_unknown(engine: Engine, text: &str) -> Result<(), String> {
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| !name.starts_with('#')) {
        let name = name.to_ascii_lowercase();
        let is_known = |known: &&str| engine.is_same_directive(known, &name);
        let mut all = SILENT.iter().chain(known(engine).iter().map(|(known, _)| known));
        if !all.any(is_known) {
            return Err(format!("FATAL CONFIG FILE ERROR: Bad directive {name:?}"));
        }
    }
    Ok(())
}
