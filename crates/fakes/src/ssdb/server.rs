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
    pub(super) has_pid_file: bool,
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
    /// Where it went instead, because two threads resolved names at once (`net/link.cpp`; seen).
    pub went_to: Option<String>,
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
    pub queues: BTreeMap<String, Vec<String>>,
    pub(super) log: Vec<Change>,
    /// The number of the oldest change that the binlog keeps: 0 where it began without any, until it is started again (seen).
    pub(super) oldest: usize,
    /// How many changes of each master have come, by the link's id.
    pub positions: BTreeMap<String, usize>,
    /// The number of the last change that a client made.
    pub(super) last_own: usize,
}

/// How many changes beyond its capacity a binlog keeps before it is trimmed to its capacity (`binlog.cpp`; seen).
const SLACK: usize = 10_000;

/// What a change does to its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Set(String),
    Delete,
    /// An item comes to the end of the queue of this name.
    Push(String),
}

/// A change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) key: String,
    pub(super) kind: Kind,
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
            has_pid_file: conf.get(&["pidfile"]).is_some(),
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
            went_to: None,
        }
    }

    /// Whether the mirror is known to lack changes of this master.
    pub(super) fn lacks_data(&self) -> bool {
        matches!(self.status, Status::Copy | Status::OutOfSync)
    }

    /// Whom it is connected to.
    pub(super) fn goal(&self) -> &str {
        self.went_to.as_deref().unwrap_or(&self.host)
    }

    /// Whether a master let it in.
    pub(super) fn is_connected(&self) -> bool {
        !matches!(self.status, Status::Disconnected | Status::Init)
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
    pub(super) fn change(&mut self, key: String, kind: Kind, is_mirrored: bool) {
        match &kind {
            Kind::Set(value) => drop(self.data.insert(key.clone(), value.clone())),
            Kind::Delete => drop(self.data.remove(&key)),
            Kind::Push(item) => self.queues.entry(key.clone()).or_default().push(item.clone()),
        }
        self.log.push(Change {
            key,
            kind,
            is_mirrored,
        });
        if !is_mirrored {
            self.last_own = self.log.len();
        }
    }

    /// A thread of the server's own looks after the binlog, not each change (`binlog.cpp`; seen).
    pub(super) fn trim(&mut self, capacity: usize) {
        if self.log.len() - self.oldest >= capacity.saturating_add(SLACK) {
            self.oldest = self.log.len() - capacity + 1;
        }
    }

    /// A server begins on it.
    pub(super) fn open(&mut self) {
        self.oldest = self.oldest.max(usize::from(!self.log.is_empty()));
    }

    pub(super) fn position(&self, id: &str) -> usize {
        self.positions.get(id).copied().unwrap_or_default()
    }
}
