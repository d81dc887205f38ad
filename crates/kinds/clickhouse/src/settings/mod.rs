//! The settings of a ClickHouse cluster, with the runbook's defaults.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::{Findings, Reader, SecretRule, ServiceDecl, Table, Takes, ValueKind};
use types::{Diagnostic, HostName, SecretId, ServiceName};

use crate::rules::server::files::Root;
use kit::ReadCx;

/// What the inventory says of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Hosts of the inventory that are no hosts of such a service, and may have been of this one.
    pub(crate) others: Vec<HostName>,
    /// Members of the quorum that are still to stay while others join: the last of [`Settings::members`].
    pub(crate) leavers: Vec<HostName>,
    /// Where each of `hosts` is to be found: a numeric address where the inventory has one, else a name.
    pub(crate) addresses: Vec<String>,
    /// The cluster's name in `remote_servers`, and the macro of that name.
    pub(crate) cluster: String,
    /// The only shard's name, as a macro.
    pub(crate) shard: String,
    pub(crate) tcp_port: u16,
    pub(crate) http_port: u16,
    /// Where it listens; [`OWN_ADDRESS`] stands for the member's own address.
    pub(crate) listen: Vec<String>,
    /// The application's user, which we use as well, where it has a password.
    pub(crate) user: String,
    pub(crate) password: Option<SecretId>,
    /// Whether the user `default`, which has no password, is kept to the cluster's own hosts.
    pub(crate) restrict_default_user: bool,
    /// The queue of distributed DDL.
    pub(crate) ddl_path: String,
    /// How many seconds behind still counts as caught up.
    pub(crate) max_delay: u64,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    pub(crate) unit: String,
    pub(crate) config_dir: String,
    pub(crate) data_dir: String,
    /// The root element, where the inventory names it.
    pub(crate) root: Option<Root>,
    pub(crate) coordination: Coordination,
    /// Numbers of coordination members that the inventory names.
    pub(crate) server_ids: BTreeMap<HostName, u32>,
}

/// Who keeps the replicas' common state.
#[derive(Debug, Clone)]
pub(crate) enum Coordination {
    /// ClickHouse Keeper, within the server.
    Keeper(Keeper),
    /// ZooKeeper on hosts of the service, set up by us.
    ZooKeeper(ZooKeeper),
    /// ZooKeeper or Keeper that somebody else runs: names and ports.
    Named(Vec<(String, u16)>),
}

/// Keeper's settings.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    pub(crate) members: Vec<HostName>,
    pub(crate) port: u16,
    pub(crate) raft_port: u16,
}

/// ZooKeeper's settings.
#[derive(Debug, Clone)]
pub(crate) struct ZooKeeper {
    pub(crate) members: Vec<HostName>,
    pub(crate) port: u16,
    pub(crate) peer_port: u16,
    pub(crate) election_port: u16,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    pub(crate) unit: String,
    pub(crate) config_dir: String,
    pub(crate) data_dir: String,
    /// The file that sets the heap, as a line `JAVA_OPTS=`.
    pub(crate) environment: String,
    /// The heap of its Java machine, e.g. `512m`; as it is where the inventory is silent.
    pub(crate) heap: Option<String>,
    /// More keys of zoo.cfg.
    pub(crate) options: Vec<(String, String)>,
}

/// The word that stands for the member's own address in `listen`.
pub(crate) const OWN_ADDRESS: &str = "address";

impl Settings {
    /// Where a host is to be found.
    pub(crate) fn address<'s>(&'s self, host: &'s HostName) -> &'s str {
        let at = self.hosts.iter().position(|other| other == host);
        at.and_then(|at| self.addresses.get(at))
            .map_or(host.as_str(), String::as_str)
    }

    /// The members of the quorum that are ours, in order; none where it is somebody else's.
    pub(crate) fn members(&self) -> &[HostName] {
        match &self.coordination {
            Coordination::Keeper(keeper) => &keeper.members,
            Coordination::ZooKeeper(zookeeper) => &zookeeper.members,
            Coordination::Named(_) => &[],
        }
    }

    /// What the members of the quorum are called.
    pub(crate) fn coordinator(&self) -> &'static str {
        match &self.coordination {
            Coordination::Keeper(_) => "keeper",
            Coordination::ZooKeeper(_) | Coordination::Named(_) => "zookeeper",
        }
    }

    pub(crate) fn zookeeper(&self) -> Option<&ZooKeeper> {
        match &self.coordination {
            Coordination::ZooKeeper(zookeeper) => Some(zookeeper),
            _ => None,
        }
    }

    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        match &self.coordination {
            Coordination::Keeper(keeper) => Some(keeper),
            _ => None,
        }
    }

    /// The unit that runs a member of the quorum: Keeper is part of the server.
    pub(crate) fn quorum_unit(&self) -> &str {
        self.zookeeper().map_or(&self.unit, |zookeeper| &zookeeper.unit)
    }

    /// The addresses to listen on, on a host.
    pub(crate) fn listen_on(&self, host: &HostName) -> Vec<String> {
        let own = |address: &String| {
            if address == OWN_ADDRESS {
                self.address(host).to_owned()
            } else {
                address.clone()
            }
        };
        self.listen.iter().map(own).collect()
    }

    /// Whether everybody who reaches the hosts reaches the servers.
    pub(crate) fn listens_everywhere(&self) -> bool {
        self.listen
            .iter()
            .any(|address| matches!(address.as_str(), "0.0.0.0" | "::" | "*"))
    }

    /// The addresses under which a host finds its own server: the loopback, where a packaged one listens, and the first
    /// address that it is to listen on, where that leaves the loopback out.
    pub(crate) fn local_addresses(&self, host: &HostName) -> Vec<String> {
        let mut addresses = vec!["127.0.0.1".to_owned()];
        let listen = self.listen_on(host);
        let covers = |address: &String| {
            matches!(
                address.as_str(),
                "0.0.0.0" | "::" | "*" | "localhost" | "127.0.0.1"
            )
        };
        if !listen.iter().any(covers) {
            addresses.extend(listen.into_iter().take(1));
        }
        addresses
    }

    pub(crate) fn config_d(&self) -> String {
        format!("{}/config.d", self.config_dir)
    }

    pub(crate) fn users_d(&self) -> String {
        format!("{}/users.d", self.config_dir)
    }

    /// A file under config.d.
    pub(crate) fn config_file(&self, name: &str) -> String {
        format!("{}/{name}.xml", self.config_d())
    }

    /// The file of our users; `None` where we have none.
    pub(crate) fn users_file(&self) -> Option<String> {
        let is_needed = self.password.is_some() || self.restrict_default_user;
        is_needed.then(|| format!("{}/{}.xml", self.users_d(), self.user))
    }
}

/// Readers of XML differ in whether they keep blanks at the ends of a text.
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Trimmed);

pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of clickhouse", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let cluster = word(&reader, "cluster", "altcraft");
    let shard = word(&reader, "shard", "01");
    let user = word(&reader, "user", "altcraft");
    let (tcp_port, http_port) = (
        reader.port("tcp_port").unwrap_or(9000),
        reader.port("http_port").unwrap_or(8123),
    );
    let listen = read_listen(&reader, findings);
    let password = reader.secret("password", PASSWORD);
    let restrict_default_user = reader.bool("restrict_default_user").unwrap_or(false);
    let ddl_path = text("ddl_path", &format!("/clickhouse/{cluster}/task_queue/ddl"));
    let max_delay = reader.seconds("max_delay").unwrap_or(300);
    let roots = [Root::ClickHouse, Root::Yandex].map(|root| (root.name(), root));
    let root = reader.choice("root", &roots);
    let (package, unit) = (
        package(&reader, "clickhouse-server"),
        text("unit", "clickhouse-server.service"),
    );
    let (config_dir, data_dir) = (
        text("config_dir", "/etc/clickhouse-server"),
        text("data_dir", "/var/lib/clickhouse"),
    );
    let coordination = read_coordination(&reader, decl, findings)?;
    let members: Vec<HostName> = match &coordination {
        Coordination::Keeper(keeper) => keeper.members.clone(),
        Coordination::ZooKeeper(zookeeper) => zookeeper.members.clone(),
        Coordination::Named(_) => Vec::new(),
    };
    let server_ids = read_ids(&reader, &members, findings);
    reader.finish();
    if !members.is_empty() && members.len().is_multiple_of(2) {
        let found = format!("{} coordination members", members.len());
        findings.report(
            Diagnostic::warning(found)
                .at(decl.kind_span, "an even number survives no more than one less")
                .hint("name an odd number of hosts with coordination_hosts"),
        );
    }
    Some(Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: cx.inventory.hosts_without(&decl.kind),
        leavers: Vec::new(),
        addresses: decl
            .hosts
            .iter()
            .map(|host| cx.inventory.reached_at(host).to_owned())
            .collect(),
        cluster,
        shard,
        tcp_port,
        http_port,
        listen,
        user,
        password,
        restrict_default_user,
        ddl_path,
        max_delay,
        package,
        unit,
        config_dir,
        data_dir,
        root,
        coordination,
        server_ids,
    })
}

/// A string that goes into XML as a name, into macros and into paths of ZooKeeper.
fn word(reader: &Reader<'_>, key: &'static str, default: &str) -> String {
    let Some(text) = reader.string(key) else {
        return default.to_owned();
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let starts_well = key == "shard" || text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if (text.is_empty() || !text.chars().all(fits) || !starts_well)
        && let Some(value) = reader.value(key)
    {
        reader.findings().report(
            Diagnostic::error(format!("{key} cannot be {text:?}"))
                .at(value.span, "letters, digits, _ and -, with a letter first"),
        );
    }
    text.to_owned()
}

fn package(reader: &Reader<'_>, default: &str) -> String {
    match reader.string("package") {
        Some("none") => String::new(),
        Some(name) => name.to_owned(),
        None => default.to_owned(),
    }
}

fn read_listen(reader: &Reader<'_>, findings: &Findings) -> Vec<String> {
    let Some(given) = reader.strings("listen") else {
        return vec!["0.0.0.0".to_owned()];
    };
    let mut listen = Vec::new();
    for (address, span) in given {
        let fits = address == OWN_ADDRESS || address == "localhost" || address.parse::<IpAddr>().is_ok();
        if !fits {
            let diagnostic = Diagnostic::error(format!("{address:?} is not an address"));
            findings.report(diagnostic.at(span, "a numeric address, or the word address for the host's own"));
        }
        listen.push(address.to_owned());
    }
    listen
}

#[derive(Clone, Copy)]
enum Sort {
    Keeper,
    ZooKeeper,
}

fn read_coordination(reader: &Reader<'_>, decl: &ServiceDecl, findings: &Findings) -> Option<Coordination> {
    let sorts = [("keeper", Sort::Keeper), ("zookeeper", Sort::ZooKeeper)];
    let sort = reader.choice("coordination", &sorts).unwrap_or(Sort::Keeper);
    let members = read_members(reader, decl, findings);
    let empty = Table::empty(reader.span());
    match sort {
        Sort::Keeper => {
            let table = reader.table("keeper").unwrap_or(&empty);
            let keeper = Reader::new(table, "a setting of keeper", findings);
            let read = Keeper {
                members,
                port: keeper.port("port").unwrap_or(9181),
                raft_port: keeper.port("raft_port").unwrap_or(9444),
            };
            keeper.finish();
            Some(Coordination::Keeper(read))
        }
        Sort::ZooKeeper => {
            let table = reader.table("zookeeper").unwrap_or(&empty);
            let zookeeper = Reader::new(table, "a setting of zookeeper", findings);
            let read = match zookeeper.strings("nodes") {
                Some(nodes) => Coordination::Named(
                    nodes
                        .into_iter()
                        .map(|(text, span)| {
                            node(text).or_else(|| {
                                let wrong = Diagnostic::error(format!("{text:?} is not a node"));
                                findings.report(wrong.at(span, "HOST or HOST:PORT"));
                                None
                            })
                        })
                        .collect::<Option<_>>()?,
                ),
                None => Coordination::ZooKeeper(read_zookeeper(&zookeeper, members, findings)),
            };
            zookeeper.finish();
            Some(read)
        }
    }
}

fn node(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, 2181),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!host.is_empty() && host.chars().all(fits)).then(|| (host.to_owned(), port))
}

fn read_members(reader: &Reader<'_>, decl: &ServiceDecl, findings: &Findings) -> Vec<HostName> {
    let Some(named) = reader.strings("coordination_hosts") else {
        return decl.hosts.clone();
    };
    let mut members = Vec::new();
    for (name, span) in named {
        match decl.hosts.iter().find(|host| host.as_str() == name) {
            Some(host) if !members.contains(host) => members.push(host.clone()),
            Some(_) => {
                findings.report(Diagnostic::error(format!("{name} is listed twice")).at(span, "here again"));
            }
            None => {
                let known = decl.hosts.iter().map(HostName::as_str);
                let diagnostic = Diagnostic::error(format!("{name} is no host of {}", decl.name))
                    .at(span, "members of the quorum are hosts of the service");
                findings.report(config::reader::with_suggestion(diagnostic, name, known));
            }
        }
    }
    members
}

fn read_zookeeper(reader: &Reader<'_>, members: Vec<HostName>, findings: &Findings) -> ZooKeeper {
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let heap = reader.string("heap").map(str::to_owned);
    if let Some(heap) = &heap
        && let Some(value) = reader.value("heap")
        && !is_size(heap)
    {
        let diagnostic = Diagnostic::error(format!("heap cannot be {heap:?}"));
        findings.report(diagnostic.at(value.span, "a number of megabytes or gigabytes: 512m, 2g"));
    }
    let mut options = Vec::new();
    for entry in reader.table("options").map_or(&[][..], |table| &table.entries) {
        let managed = ["clientPort", "dataDir", "4lw.commands.whitelist"].contains(&entry.key.as_str())
            || entry.key.starts_with("server.");
        let value = match &entry.value.kind {
            ValueKind::String(text) if !text.chars().any(char::is_control) => Some(text.clone()),
            ValueKind::Int(number) => Some(number.to_string()),
            ValueKind::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        let sound_key = !entry
            .key
            .contains(|c: char| c.is_whitespace() || "=:#!\\".contains(c));
        match value {
            Some(value) if !managed && sound_key => options.push((entry.key.clone(), value)),
            _ => {
                let label = if managed {
                    "managed by the service itself"
                } else {
                    "expected a key with a string, an integer or a boolean"
                };
                let diagnostic = Diagnostic::error(format!("{} is not for options", entry.key));
                findings.report(diagnostic.at(entry.key_span, label));
            }
        }
    }
    ZooKeeper {
        members,
        port: reader.port("port").unwrap_or(2181),
        peer_port: reader.port("peer_port").unwrap_or(2888),
        election_port: reader.port("election_port").unwrap_or(3888),
        package: package(reader, "zookeeperd"),
        unit: text("unit", "zookeeper.service"),
        config_dir: text("config_dir", "/etc/zookeeper/conf"),
        data_dir: text("data_dir", "/var/lib/zookeeper"),
        environment: text("environment", "/etc/default/zookeeper"),
        heap,
        options,
    }
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(['m', 'g', 'M', 'G']);
    text.len() == digits.len() + 1 && !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}

fn read_ids(reader: &Reader<'_>, members: &[HostName], findings: &Findings) -> BTreeMap<HostName, u32> {
    let mut ids: BTreeMap<HostName, u32> = BTreeMap::new();
    for entry in reader.table("server_ids").map_or(&[][..], |table| &table.entries) {
        let host = members.iter().find(|host| host.as_str() == entry.key);
        let id = match entry.value.kind {
            // ZooKeeper takes 1 to 255, Keeper more; no cluster needs them.
            ValueKind::Int(number) => u32::try_from(number).ok().filter(|id| (1..=255).contains(id)),
            _ => None,
        };
        let wrong = |message: String, label: &str| {
            findings.report(Diagnostic::error(message).at(entry.key_span, label.to_owned()));
        };
        match (host, id) {
            (None, _) => wrong(
                format!("{} is no member of the quorum", entry.key),
                "names a member",
            ),
            (_, None) => wrong(format!("{} has no such number", entry.key), "expected 1 to 255"),
            (Some(_), Some(id)) if ids.values().any(|&other| other == id) => {
                wrong(format!("two members have the number {id}"), "the second one");
            }
            (Some(host), Some(id)) => {
                ids.insert(host.clone(), id);
            }
        }
    }
    ids
}
