//! A server: what it read when it started, its links, and what is on its disk.

use std::collections::BTreeMap;

use formats::ssdb_conf::Conf;
use formats::ssdb_conf::slaveofs;

/// What a running server read when it started, and where its links stand.
#[derive(Debug, Clone)]
pub struct Process {
    pub(super) ip: String,
    pub(super) port: String,
    pub(super) auth: Option<String>,
    pub capacity: usize,
    pub links: Vec<Link>,
    /// From when on it answers.
    pub(super) ready_us: i64,
}

/// A link to a master.
#[derive(Debug, Clone)]
pub struct Link {
    pub id: String,
    pub(super) host: String,
    pub(super) port: String,
    pub(super) auth: String,
    pub(super) recv_timeout_us: i64,
    pub(super) status: Status,
    /// When it does the next thing.
    pub(super) due_us: i64,
    /// How many changes of the master it must have to have caught up: what there was when it connected.
    pub(super) owed: usize,
    /// Nothing comes, whatever the status.
    pub(super) silence: Option<Silence>,
    /// The same without a reason and an end, until it connects again (seen).
    pub is_stalled: bool,
}

/// A connection over which nothing comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    /// When the mirror has had enough.
    pub(super) until_us: i64,
    /// Whether the other side does not know of it any more.
    pub(super) is_dead: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Disconnected,
    Init,
    Copy,
    Sync,
    OutOfSync,
}

/// What is on a disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub data: BTreeMap<String, String>,
    pub(super) log: Vec<Change>,
    /// How many changes of each master have come, by the link's id.
    pub(super) positions: BTreeMap<String, usize>,
    /// The number of the last change that a client made.
    pub(super) last_own: usize,
}

/// A change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) key: String,
    pub(super) is_set: bool,
    /// Whether it came from a mirror: then it is not passed on to mirrors.
    pub(super) is_mirrored: bool,
}

impl Process {
    /// Reads the file as the server does; `None` where the server exits with status 1.
    pub(super) fn read(text: &str, ready_us: i64) -> Option<(Self, String)> {
        let conf = Conf::parse(text).ok()?;
        let get = |path: &[&str], default: &str| conf.get(path).unwrap_or(default).to_owned();
        let auth = conf.get(&["server", "auth"]).map(str::to_owned);
        // A reference stands for a password that was checked when the inventory was read.
        let is_short = |auth: &String| !auth.starts_with('⟪') && auth.len() < 32;
        if auth.as_ref().is_some_and(is_short) {
            return None;
        }
        let links = slaveofs(&conf)
            .into_iter()
            .map(|at| Link::read(&conf, at, ready_us));
        let process = Self {
            ip: get(&["server", "ip"], "127.0.0.1"),
            port: get(&["server", "port"], "8888"),
            auth,
            capacity: get(&["replication", "binlog", "capacity"], "20000000")
                .parse()
                .ok()?,
            links: links.collect(),
            ready_us,
        };
        Some((process, get(&["work_dir"], "")))
    }
}

impl Link {
    fn read(conf: &Conf, at: usize, due_us: i64) -> Self {
        let child = |key| conf.child(at, key).unwrap_or_default().to_owned();
        let or = |text: String, other: String| if text.is_empty() { other } else { text };
        let host = or(child("host"), child("ip"));
        Self {
            id: or(child("id"), format!("{host}|{}", child("port"))),
            port: child("port"),
            auth: child("auth"),
            recv_timeout_us: child("recv_timeout").parse().unwrap_or(300) * 1_000_000,
            host,
            status: Status::Disconnected,
            due_us,
            owed: 0,
            silence: None,
            is_stalled: false,
        }
    }

    /// Whether the mirror is known to lack changes of this master.
    pub(super) fn lacks_data(&self) -> bool {
        matches!(self.status, Status::Copy | Status::OutOfSync)
    }

    /// Whether there is a connection.
    pub(super) fn is_open(&self) -> bool {
        self.status != Status::Disconnected
    }
}

impl Status {
    /// As `info` has it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::Init => "INIT",
            Self::Copy => "COPY",
            Self::Sync => "SYNC",
            Self::OutOfSync => "OUT_OF_SYNC",
        }
    }
}

impl Disk {
    pub(super) fn change(&mut self, key: &str, value: Option<&str>, is_mirrored: bool) {
        match value {
            Some(value) => drop(self.data.insert(key.to_owned(), value.to_owned())),
            None => drop(self.data.remove(key)),
        }
        self.log.push(Change {
            key: key.to_owned(),
            is_set: value.is_some(),
            is_mirrored,
        });
        if !is_mirrored {
            self.last_own = self.log.len();
        }
    }

    /// The number of the oldest change that a binlog of this capacity keeps.
    pub(super) fn oldest(&self, capacity: usize) -> usize {
        self.log.len().saturating_sub(capacity)
    }

    pub(super) fn position(&self, id: &str) -> usize {
        self.positions.get(id).copied().unwrap_or_default()
    }
}
