//! Sentinel's process: what it watches, what it has found out, and the file that it keeps it in.

use std::collections::{BTreeMap, BTreeSet};

use formats::directives::{Directives, unquoted};
use formats::engine::Engine;
use protocol::facts::RespFact;

/// A running sentinel.
#[derive(Clone)]
pub struct Sentinel {
    /// From when on it answers.
    pub answers_us: i64,
    pub port: u16,
    pub watched: Vec<Watched>,
    /// What the agent meets instead of an answer, where a test says so: the others still hear it.
    pub shuns: Option<RespFact>,
}

/// A master that a sentinel watches.
#[derive(Clone, Default)]
pub struct Watched {
    pub name: String,
    pub ip: String,
    pub port: u16,
    pub quorum: usize,
    pub auth_pass: String,
    pub options: BTreeMap<String, String>,
    pub epoch: u64,
    /// Addresses of the other sentinels that it has heard of; only a reset makes it forget one.
    pub others: BTreeSet<String>,
    /// Addresses of the replicas that it has heard of; only a reset makes it forget one.
    pub replicas: BTreeSet<String>,
    /// Who is on the way to be heard of, and when.
    pub hearing: BTreeMap<Peer, i64>,
    /// Who does not answer, and since when.
    pub unseen: BTreeMap<Peer, i64>,
    /// When a failover that was asked for takes place, and whether an operation of ours asked.
    pub failover: Option<(i64, bool)>,
    /// When it was last told to forget everybody.
    pub reset_us: Option<i64>,
    /// When it began to watch this master, or began anew.
    pub settled_us: i64,
}

/// Somebody whom a sentinel keeps an eye on, by address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// An engine, master or replica.
    Engine(String),
    /// Another sentinel.
    Sentinel(String),
}

/// Options with Sentinel's defaults.
const OPTIONS: [(&str, &str); 3] = [
    ("down-after-milliseconds", "30000"),
    ("failover-timeout", "180000"),
    ("parallel-syncs", "1"),
];

impl Sentinel {
    /// Starts with what its file says; an error is what it prints before it ends.
    pub fn start(
        text: &str,
        answers_us: i64,
        resolve: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let file = Directives::parse(text, Engine::Redis);
        let mut sentinel = Self {
            answers_us,
            port: file
                .last("port")
                .and_then(|port| port.parse().ok())
                .unwrap_or(26379),
            watched: Vec::new(),
            shuns: None,
        };
        let resolves = file.after(&["sentinel", "resolve-hostnames"]).pop() == Some("yes");
        for line in file.after(&["sentinel", "monitor"]) {
            let words: Vec<&str> = line.split_whitespace().map(unquoted).collect();
            let [name, ip, port, quorum] = words.as_slice() else {
                return Err("Unrecognized sentinel configuration statement.".to_owned());
            };
            let is_address = ip.parse::<std::net::IpAddr>().is_ok();
            let address = if is_address {
                Some((*ip).to_owned())
            } else {
                resolve(ip).filter(|_| resolves)
            };
            let address = address.ok_or("Can't resolve instance hostname.")?;
            sentinel.command(&["MONITOR", name, &address, port, quorum])?;
        }
        for watched in &mut sentinel.watched {
            watched.read(&file);
        }
        Ok(sentinel)
    }

    pub fn watched(&self, name: &str) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.name == name)
    }

    pub fn watched_mut(&mut self, name: &str) -> Result<&mut Watched, String> {
        let found = self.watched.iter_mut().find(|watched| watched.name == name);
        found.ok_or_else(|| "ERR No such master with that name".to_owned())
    }

    /// Its file as it writes it: defaults are dropped, quotes too (seen).
    pub fn file(&self) -> String {
        let mut lines = vec![
            "bind 0.0.0.0".to_owned(),
            format!("port {}", self.port),
            "daemonize no".to_owned(),
            "dir \"/var/lib/redis\"".to_owned(),
        ];
        for watched in &self.watched {
            let (name, ip, port) = (&watched.name, &watched.ip, watched.port);
            lines.push(format!("sentinel monitor {name} {ip} {port} {}", watched.quorum));
            if !watched.auth_pass.is_empty() {
                lines.push(format!("sentinel auth-pass {name} {}", watched.auth_pass));
            }
            let options = watched.options.iter();
            lines.extend(options.map(|(option, value)| format!("sentinel {option} {name} {value}")));
            lines.push(format!("sentinel config-epoch {name} {}", watched.epoch));
            let replicas = watched.replicas.iter();
            lines.extend(replicas.map(|ip| format!("sentinel known-replica {name} {ip} {port}")));
            let others = watched.others.iter();
            lines.extend(others.map(|ip| format!("sentinel known-sentinel {name} {ip} {}", self.port)));
        }
        lines.push("# Generated by CONFIG REWRITE".to_owned());
        lines.push("user ⟪kept:300+24⟫".to_owned());
        lines.push("sentinel myid 5f11fbc3803a67f2103fe0c128e9e97c19ae055c\n".to_owned());
        lines.join("\n")
    }

    /// A command of SENTINEL that changes what it watches; an error is its reply.
    pub fn command(&mut self, words: &[&str]) -> Result<(), String> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| "ERR Invalid quorum".to_owned());
        match words {
            ["MONITOR", name, ..] if self.watched(name).is_some() => {
                Err("ERR Duplicate master name".to_owned())
            }
            ["MONITOR", name, ip, port, quorum] => {
                self.watched.push(Watched {
                    name: (*name).to_owned(),
                    ip: (*ip).to_owned(),
                    port: port.parse().map_err(|_| "ERR Invalid port number")?,
                    quorum: number(quorum)?,
                    ..Watched::default()
                });
                Ok(())
            }
            ["SET", name, "quorum", value] => {
                self.watched_mut(name)?.quorum = number(value)?;
                Ok(())
            }
            ["SET", name, "auth-pass", value] => {
                (*value).clone_into(&mut self.watched_mut(name)?.auth_pass);
                Ok(())
            }
            ["SET", name, option, value] => {
                let watched = self.watched_mut(name)?;
                if !OPTIONS.iter().any(|(known, _)| known == option) {
                    return Err(format!(
                        "ERR Unknown option or number of arguments for SENTINEL SET '{option}'"
                    ));
                }
                watched.options.insert((*option).to_owned(), (*value).to_owned());
                Ok(())
            }
            ["REMOVE", name] => {
                self.watched_mut(name)?;
                self.watched.retain(|watched| watched.name != *name);
                Ok(())
            }
            _ => Err(format!(
                "ERR unknown subcommand or wrong number of arguments for {words:?}"
            )),
        }
    }
}

impl Watched {
    fn read(&mut self, file: &Directives) {
        let name = self.name.clone();
        let option = |option: &str| {
            let line = file.after(&["sentinel", option, &name]).pop();
            line.map(|value| unquoted(value).to_owned())
        };
        self.auth_pass = option("auth-pass").unwrap_or_default();
        self.epoch = option("config-epoch")
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or(0);
        let set = OPTIONS.iter();
        let set = set.filter_map(|&(name, _)| Some((name.to_owned(), option(name)?)));
        self.options = set.collect();
        let known = |option: &str| -> BTreeSet<String> {
            let lines = file.after(&["sentinel", option, &name]).into_iter();
            let addresses = lines.filter_map(|line| line.split_whitespace().next());
            addresses.map(str::to_owned).collect()
        };
        (self.replicas, self.others) = (known("known-replica"), known("known-sentinel"));
    }

    /// Another is the master from now on; the old one is known as a replica.
    pub fn switch(&mut self, ip: &str, epoch: u64, now: i64) {
        self.epoch = epoch;
        self.failover = None;
        if self.ip == ip {
            return;
        }
        self.settled_us = now;
        let old = std::mem::replace(&mut self.ip, ip.to_owned());
        self.replicas.insert(old);
        self.replicas.remove(ip);
        self.unseen.retain(|peer, _| matches!(peer, Peer::Sentinel(_)));
    }

    /// SENTINEL RESET: it knows of nobody but the master.
    pub fn reset(&mut self, now: i64) {
        self.others.clear();
        self.replicas.clear();
        self.hearing.clear();
        self.unseen.clear();
        self.failover = None;
        self.reset_us = Some(now);
        self.settled_us = now;
    }

    /// How many sentinels there are, as far as it knows: a majority of them elects.
    pub fn voters(&self) -> usize {
        self.others.len() + 1
    }

    /// How many must agree on a failover and on who leads it.
    pub fn needed(&self) -> usize {
        self.quorum.max(self.voters() / 2 + 1)
    }

    /// Its row of SENTINEL MASTERS as far as it is what it was told.
    pub fn fields(&self, flags: String) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("name", self.name.clone()),
            ("ip", self.ip.clone()),
            ("port", self.port.to_string()),
            ("flags", flags),
            ("num-slaves", self.replicas.len().to_string()),
            ("num-other-sentinels", self.others.len().to_string()),
            ("quorum", self.quorum.to_string()),
            ("config-epoch", self.epoch.to_string()),
        ];
        fields.extend(OPTIONS.iter().map(|&(option, default)| {
            let value = self.options.get(option).map_or(default, String::as_str);
            (option, value.to_owned())
        }));
        fields
    }
}
